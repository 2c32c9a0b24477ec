//! A batch that does not fit into the memory of a device goes through it in halves.

/// How many go through at once, learnt from what did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    most: usize,
}

impl Default for Fitting {
    fn default() -> Self {
        Self { most: usize::MAX }
    }
}

impl Fitting {
    /// Runs `work` on all `items` in their order, in as few parts as fit. A part for which `is_out_of_memory` is tried again
    /// in halves, `halved` is told of the new size, and so it stays for later batches. What was done before is kept.
    ///
    /// # Errors
    /// What `work` fails with, also for a single item that does not fit.
    pub fn run<T, R, E>(
        &mut self,
        items: &[T],
        mut work: impl FnMut(&[T]) -> Result<Vec<R>, E>,
        is_out_of_memory: impl Fn(&E) -> bool,
        mut halved: impl FnMut(usize),
    ) -> Result<Vec<R>, E> {
        let mut done = Vec::with_capacity(items.len());
        while let Some(rest) = items.get(done.len()..)
            && !rest.is_empty()
        {
            let part = &rest[..rest.len().min(self.most)];
            match work(part) {
                Ok(results) => done.extend(results),
                Err(error) if part.len() > 1 && is_out_of_memory(&error) => {
                    self.most = part.len() / 2;
                    halved(self.most);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// Whether an error of the network says that the device has no memory left. The libraries below tell it in words alone.
pub fn is_out_of_memory(error: &impl std::fmt::Debug) -> bool {
    const WORDS: [&str; 4] = [
        "OUT_OF_MEMORY",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ];
    let text = format!("{error:?}");
    WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Memory,
        Other,
    }

    /// Doubles numbers on a device with room for `room`; a 0 breaks it.
    fn doubled(
        fitting: &mut Fitting,
        items: &[u32],
        room: usize,
        told: &mut Vec<usize>,
        calls: &mut usize,
    ) -> Result<Vec<u32>, Failure> {
        let work = |part: &[u32]| {
            *calls += 1;
            if part.len() > room {
                return Err(Failure::Memory);
            }
            if part.contains(&0) {
                return Err(Failure::Other);
            }
            Ok(part.iter().map(|item| 2 * item).collect())
        };
        fitting.run(
            items,
            work,
            |error| *error == Failure::Memory,
            |most| told.push(most),
        )
    }

    #[test]
    fn halves_until_it_fits_and_remembers() {
        let (mut fitting, mut told, mut calls) = (Fitting::default(), Vec::new(), 0);
        let items: Vec<u32> = (1..=8).collect();
        let want: Vec<u32> = items.iter().map(|item| 2 * item).collect();
        let got = doubled(&mut fitting, &items, 3, &mut told, &mut calls);
        assert_eq!(got.as_deref(), Ok(&want[..]));
        assert_eq!((told.as_slice(), calls), (&[4, 2][..], 2 + 4));
        // The next batch is not tried whole again.
        let got = doubled(&mut fitting, &items, 3, &mut told, &mut calls);
        assert_eq!(
            (got.as_deref(), told.len(), calls),
            (Ok(&want[..]), 2, 6 + 4)
        );
    }

    #[test]
    fn one_that_does_not_fit_is_an_error() {
        let (mut fitting, mut told, mut calls) = (Fitting::default(), Vec::new(), 0);
        let got = doubled(&mut fitting, &[1, 2, 3], 0, &mut told, &mut calls);
        assert_eq!(got, Err(Failure::Memory));
        assert_eq!(told, [1]);
    }

    #[test]
    fn other_errors_are_not_tried_again() {
        let (mut fitting, mut told, mut calls) = (Fitting::default(), Vec::new(), 0);
        let got = doubled(&mut fitting, &[1, 0, 3], 3, &mut told, &mut calls);
        assert_eq!((got, told.len(), calls), (Err(Failure::Other), 0, 1));
        assert_eq!(
            doubled(&mut fitting, &[], 3, &mut told, &mut calls),
            Ok(Vec::new())
        );
    }

    #[test]
    fn knows_the_libraries_words() {
        let error = candle_core::Error::Msg(
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into(),
        );
        assert!(is_out_of_memory(&error));
        assert!(!is_out_of_memory(&candle_core::Error::Msg(
            "shape mismatch".into()
        )));
    }
}
