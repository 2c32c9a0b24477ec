//! The program's allocator: large blocks are kept for the next tensor of about that size.
//!
//! The network's activations are vectors of up to some 50 MB, freed a layer later. The system hands such blocks back to
//! the kernel at once, and the page faults of the next one cost more than the convolution that fills it: see
//! `benches/RESULTS.md` for the measurement and the alternatives. Memory stays bounded: at most `CAP` bytes wait here, or what a job asked for, and
//! `release` gives them back when a job ends. Blocks below `LARGE` go straight to the system's allocator.
#![allow(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; free blocks are chained through their first word"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard};

/// Blocks from this size on are kept.
const LARGE: usize = 1 << 20;
/// Most bytes that wait for their next use. An image of 800×1024 leaves 613 MiB, one of
/// 800×1333 stays below it.
const CAP: usize = 1 << 30;
/// Every kept block begins at such a boundary; requests for more go to the system.
const ALIGN: usize = 64;
/// Sizes between two powers of two: a block is at most an eighth larger than asked for.
const STEPS: usize = 8;
/// Sizes from `LARGE` to 256 MiB, above every activation of one image. Larger blocks are not kept: the system has zeroed
/// ones without touching them, which an image that claims more than it holds relies on.
const CLASSES: usize = 8 * STEPS;

/// Keeps large free blocks. The binary and the library's tests install it as the global allocator.
#[derive(Debug)]
pub struct KeepLarge;

struct Free {
    /// The first free block of each class; each holds the address of the next in its first word.
    first: [*mut u8; CLASSES],
    bytes: usize,
    /// Most bytes that wait.
    cap: usize,
}

// SAFETY: the pointers are owned by the list and only used under its lock.
unsafe impl Send for Free {}

static FREE: Mutex<Free> = Mutex::new(Free {
    first: [null_mut(); CLASSES],
    bytes: 0,
    cap: CAP,
});

/// While it lives, more blocks wait than usual: a training step frees all its activations at once, and the next one
/// asks for the same again.
#[derive(Debug)]
pub struct KeepMore(());

impl KeepMore {
    /// At most `bytes` wait, or the usual amount if that is more.
    pub fn up_to(bytes: usize) -> Self {
        free().cap = bytes.max(CAP);
        Self(())
    }
}

impl Drop for KeepMore {
    fn drop(&mut self) {
        let mut free = free();
        free.cap = CAP;
        free.clear();
    }
}

/// Gives all waiting blocks back to the system. Call it when a job ends.
pub fn release() {
    free().clear();
}

/// Bytes that wait for their next use.
pub fn waiting_bytes() -> usize {
    free().bytes
}

fn free() -> MutexGuard<'static, Free> {
    // Nothing in here panics; a poisoned lock would still guard a whole list.
    FREE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The class of a request, or none if it is not kept.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.size() < LARGE || layout.align() > ALIGN {
        return None;
    }
    let last = layout.size() - 1;
    let power = last.checked_ilog2()? as usize;
    let step = (1usize << power) / STEPS;
    // LARGE itself has power 19, and is the last size of the class before the first.
    let class = (power * STEPS + (last - (1 << power)) / step + 1).checked_sub(20 * STEPS)?;
    (class < CLASSES).then_some(class)
}

/// What is asked of the system for a block of a class.
fn class_layout(class: usize) -> Option<Layout> {
    let power = 20 + class / STEPS;
    let size = (1usize << power) + class % STEPS * ((1 << power) / STEPS);
    Layout::from_size_align(size, ALIGN).ok()
}

impl Free {
    fn take(&mut self, class: usize) -> *mut u8 {
        let Some(first) = self.first.get_mut(class) else {
            return null_mut();
        };
        let block = *first;
        if !block.is_null() {
            // SAFETY: a free block holds the address of the next in its first word.
            *first = unsafe { block.cast::<*mut u8>().read() };
            self.bytes -= class_layout(class).map_or(0, |l| l.size());
        }
        block
    }

    fn put(&mut self, class: usize, layout: Layout, block: *mut u8) {
        if self.bytes + layout.size() > self.cap {
            // The sizes in use have changed, with the image or the model: begin anew.
            self.clear();
        }
        if let Some(first) = self.first.get_mut(class) {
            // SAFETY: the block is free, larger than a pointer and aligned for one.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
            self.bytes += layout.size();
        }
    }

    fn clear(&mut self) {
        for class in 0..CLASSES {
            let Some(layout) = class_layout(class) else {
                continue;
            };
            loop {
                let block = self.take(class);
                if block.is_null() {
                    break;
                }
                // SAFETY: blocks of this class were allocated with this layout.
                unsafe { System.dealloc(block, layout) };
            }
        }
    }
}

// SAFETY: blocks come from the system with the layout of their class, which is at least what was asked for and a function
// of the request alone, so `dealloc` finds the same one; a block is either in the list or in use.
unsafe impl GlobalAlloc for KeepLarge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, whole)) = kept(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let block = free().take(class);
        if block.is_null() {
            // SAFETY: the layout is not empty.
            unsafe { System.alloc(whole) }
        } else {
            block
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((class, whole)) = kept(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let block = free().take(class);
        // SAFETY: the layout is not empty; a kept block is at least as large as asked for.
        unsafe {
            if block.is_null() {
                return System.alloc_zeroed(whole);
            }
            block.write_bytes(0, layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match kept(layout) {
            Some((class, whole)) => free().put(class, whole, block),
            // SAFETY: the caller's promise.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a valid size for this alignment; the blocks are as large as their layouts.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            match (class_of(layout), class_of(wanted)) {
                (None, None) => System.realloc(block, layout, size),
                (old, new) if old == new => block,
                _ => {
                    let moved = self.alloc(wanted);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, size.min(layout.size()));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

/// The class of a request and the layout of its blocks, if it is kept.
fn kept(layout: Layout) -> Option<(usize, Layout)> {
    let class = class_of(layout)?;
    Some((class, class_layout(class)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_sizes_and_wastes_an_eighth_at_most() {
        let largest = class_layout(CLASSES - 1).unwrap().size();
        let mut size = LARGE;
        while size < largest {
            for size in [size, size + 1, size + 4097] {
                let layout = Layout::from_size_align(size, 8).unwrap();
                let (_, whole) = kept(layout).unwrap();
                assert!(whole.size() >= size, "{size}");
                assert!(whole.size() <= size + size / STEPS + 1, "{size}");
            }
            size += size / 19;
        }
        assert_eq!(
            class_of(Layout::from_size_align(LARGE - 1, 8).unwrap()),
            None
        );
        assert_eq!(
            class_of(Layout::from_size_align(LARGE, 4096).unwrap()),
            None
        );
        assert_eq!(
            class_of(Layout::from_size_align(largest + 1, 8).unwrap()),
            None
        );
    }

    #[test]
    fn sizes_of_a_class_begin_where_the_last_one_ends() {
        for class in 0..CLASSES {
            let whole = class_layout(class).unwrap();
            assert_eq!(class_of(whole), Some(class));
            let next = Layout::from_size_align(whole.size() + 1, 8).unwrap();
            let expected = (class + 1 < CLASSES).then_some(class + 1);
            assert_eq!(class_of(next), expected);
        }
    }

    #[test]
    fn contents_survive_growth_and_zeroed_blocks_are_zero() {
        let mut v: Vec<u32> = Vec::new();
        for i in 0..3_000_000 {
            v.push(i);
        }
        assert!(v.iter().copied().eq(0..3_000_000));
        drop(v);
        // Likely the block that has just been freed.
        let zeros = vec![0u32; 3_100_000];
        assert!(zeros.iter().all(|&x| x == 0));
    }
}
