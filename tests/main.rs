//! One integration-test binary: linking is most of the cost of another.

mod architecture;
