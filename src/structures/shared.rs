//! Shared values that are told apart by their address: what was derived from one holds while it is the same one.

use std::sync::Arc;

/// Whether both are the same value, or neither is there. Whoever keeps an `Arc` keeps its address from being used anew.
pub fn is_same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
