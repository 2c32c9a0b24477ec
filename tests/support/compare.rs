//! Comparing tensors with their reference.

/// Largest absolute difference and largest absolute reference value.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Largest |got − want|.
    pub absolute: f64,
    /// Largest |want|.
    pub largest: f64,
}

impl Deviation {
    /// Compares value by value; NaN on one side only, or another length, fails.
    pub fn of(what: &str, got: &[f32], want: &[f32]) -> Self {
        assert_eq!(got.len(), want.len(), "{what}: number of values");
        let mut found = Self {
            absolute: 0.0,
            largest: 0.0,
        };
        for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
            let difference = f64::from(got) - f64::from(want);
            assert!(
                !difference.is_nan(),
                "{what}: value {at} is {got}, the reference {want}"
            );
            found.absolute = found.absolute.max(difference.abs());
            found.largest = found.largest.max(f64::from(want).abs());
        }
        found
    }

    /// Fails where the difference is above `tolerance` times the largest value. Prints the figure.
    pub fn relative_within(self, what: &str, tolerance: f64) {
        let scale = self.largest.max(f64::MIN_POSITIVE);
        let relative = self.absolute / scale;
        println!("{what}: {relative:.2e} of the largest value (tolerance {tolerance:.0e})");
        assert!(
            self.absolute <= tolerance * scale,
            "{what}: off by {relative:.3e} of the largest value, tolerance {tolerance:e}"
        );
    }

    /// Fails where the difference is above `tolerance`. Prints the figure.
    pub fn absolute_within(self, what: &str, tolerance: f64) {
        println!("{what}: {:.2e} (tolerance {tolerance:.0e})", self.absolute);
        assert!(
            self.absolute <= tolerance,
            "{what}: off by {:.3e}, tolerance {tolerance:e}",
            self.absolute
        );
    }
}
