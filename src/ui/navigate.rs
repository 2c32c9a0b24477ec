//! From image to image and from instance to instance: places in lists, nothing else.

/// The images around one of the gallery, the likeliest next ones first: +1, -1, +2, -2 up to `reach`.
pub fn neighbours(gallery: &[usize], image: usize, reach: usize) -> Vec<usize> {
    let Some(here) = place(gallery, image) else {
        return gallery.iter().take(reach).copied().collect();
    };
    (1..=reach)
        .flat_map(|step| [here.checked_add(step), here.checked_sub(step)])
        .flatten()
        .filter_map(|at| gallery.get(at).copied())
        .collect()
}

/// The image `step` places from `current`, held at both ends. Where `current` is not in the gallery (a filter hides it),
/// the next one is the first whose place in the set is behind it, and the previous one the last before it.
pub fn image_at(gallery: &[usize], current: Option<usize>, step: isize) -> Option<usize> {
    let last = gallery.len().checked_sub(1)?;
    let Some(current) = current else {
        return gallery.first().copied();
    };
    match place(gallery, current) {
        Some(here) => {
            let to = here.saturating_add_signed(step).min(last);
            gallery.get(to).copied()
        }
        None if step > 0 => {
            let behind = gallery.iter().filter(|&&image| image > current).min();
            behind.or(gallery.iter().max()).copied()
        }
        None => {
            let before = gallery.iter().filter(|&&image| image < current).max();
            before.or(gallery.iter().min()).copied()
        }
    }
}

/// The instance `step` places from `current` in the order of the list, round from the last to the first. Without one the
/// walk begins at the end it comes from.
pub fn instance_at(order: &[usize], current: Option<usize>, step: isize) -> Option<usize> {
    if order.is_empty() {
        return None;
    }
    let count = order.len() as isize;
    let to = match current.and_then(|current| place(order, current)) {
        Some(here) => (here as isize + step).rem_euclid(count),
        None if step > 0 => 0,
        None => count - 1,
    };
    order.get(to as usize).copied()
}

fn place(list: &[usize], item: usize) -> Option<usize> {
    list.iter().position(|&other| other == item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GALLERY: [usize; 5] = [7, 3, 9, 1, 5];

    #[test]
    fn images_stop_at_the_ends() {
        for (current, step, expected) in [
            (Some(7), 1, Some(3)),
            (Some(7), -1, Some(7)),
            (Some(5), 1, Some(5)),
            (Some(9), -1, Some(3)),
            (None, 1, Some(7)),
            (Some(4), 1, Some(5)),
            (Some(4), -1, Some(3)),
            (Some(99), 1, Some(9)),
            (Some(0), -1, Some(1)),
        ] {
            assert_eq!(
                image_at(&GALLERY, current, step),
                expected,
                "{current:?} {step}"
            );
        }
        assert_eq!(image_at(&[], Some(1), 1), None);
    }

    #[test]
    fn instances_go_round() {
        for (current, step, expected) in [
            (None, 1, Some(7)),
            (None, -1, Some(5)),
            (Some(5), 1, Some(7)),
            (Some(7), -1, Some(5)),
            (Some(3), 1, Some(9)),
            (Some(42), 1, Some(7)),
        ] {
            assert_eq!(
                instance_at(&GALLERY, current, step),
                expected,
                "{current:?} {step}"
            );
        }
        assert_eq!(instance_at(&[], Some(1), 1), None);
    }

    #[test]
    fn the_nearest_neighbours_come_first() {
        assert_eq!(neighbours(&GALLERY, 9, 3), [1, 3, 5, 7]);
        assert_eq!(neighbours(&GALLERY, 7, 2), [3, 9]);
        assert_eq!(neighbours(&GALLERY, 42, 3), [7, 3, 9]);
    }
}
