//! One integration binary; each area has its own module.

mod support;
mod weights;
