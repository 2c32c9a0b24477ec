//! The matrix product of the backward passes, on the `gemm` crate that candle itself uses.
#![allow(
    unsafe_code,
    reason = "gemm takes pointers; every length is asserted first"
)]

use gemm::Parallelism;

/// A matrix in row-major or column-major order inside a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// (rows, columns), each row `stride` after the one before.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        if rows > 0 && columns > 0 {
            assert!((rows - 1) * stride + columns <= values.len());
        }
        Self {
            values,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The same values as (columns, rows).
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Adds `left · right` to `sum` (rows of `left`, columns of `right`), on the calling thread alone: the callers share out
/// whole products, so that a result does not depend on the number of threads.
pub(crate) fn add_product(sum: &mut [f32], left: Matrix<'_>, right: Matrix<'_>) {
    assert_eq!(sum.len(), left.rows * right.columns);
    // SAFETY: the length is that of the product, and the slice is borrowed.
    unsafe { product_at(sum.as_mut_ptr(), left, right, true) }
}

/// As `add_product` where `adds`; else writes `left · right` to `sum` without reading what is there.
///
/// # Safety
/// `sum` has room for the product, and nobody else uses it; where `adds` it holds numbers.
pub(crate) unsafe fn product_at(sum: *mut f32, left: Matrix<'_>, right: Matrix<'_>, adds: bool) {
    let (rows, columns, depth) = (left.rows, right.columns, left.columns);
    assert_eq!(depth, right.rows);
    if rows == 0 || columns == 0 {
        return;
    }
    if depth == 0 {
        if !adds {
            // SAFETY: the room that the caller vouches for.
            unsafe { std::ptr::write_bytes(sum, 0, rows * columns) };
        }
        return;
    }
    // SAFETY: `Matrix::new` has checked that every element of both lies in its slice, the caller that of `sum`.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            sum,
            1,
            columns as isize,
            adds,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_to_what_is_there() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // (2,3)
        let right = [1.0, 0.0, 2.0, 0.0, 1.0, 1.0]; // (2,3), used transposed
        let mut sum = [10.0, 0.0, 0.0, 0.0];
        let (left, right) = (Matrix::new(&left, 2, 3, 3), Matrix::new(&right, 2, 3, 3));
        add_product(&mut sum, left, right.transposed());
        assert_eq!(sum, [17.0, 5.0, 16.0, 11.0]);
        sum.fill(f32::NAN);
        // SAFETY: 2·2 values.
        unsafe { product_at(sum.as_mut_ptr(), left, right.transposed(), false) };
        assert_eq!(sum, [7.0, 5.0, 16.0, 11.0]);
    }
}
