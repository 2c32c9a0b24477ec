//! Flags to typed jobs: the command line.
