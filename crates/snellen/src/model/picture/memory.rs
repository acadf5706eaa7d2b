//! Memory of pictures that are done with, for the next ones of the same thread: fresh pages from the system cost more than
//! decoding into them.

use std::cell::RefCell;

/// The most vectors that a thread keeps: a picture is decoded into one, resized into another by way of a third.
const KEPT: usize = 4;

/// The most bytes that one of them has.
const LARGEST: usize = 1 << 23;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// `length` bytes, whatever they are: to be written before they are read.
pub(in super::super) fn take(length: usize) -> Vec<u8> {
    let found = FREE.with_borrow_mut(|free| {
        let fits = |bytes: &Vec<u8>| bytes.capacity() >= length && bytes.capacity() / 2 <= length;
        let found = free.iter().enumerate().filter(|(_, bytes)| fits(bytes)).min_by_key(|(_, bytes)| bytes.capacity());
        found.map(|(at, _)| at).map(|at| free.remove(at))
    });
    let Some(mut bytes) = found else { return vec![0; length] };
    bytes.resize(length, 0);
    bytes
}

/// Takes back what nobody needs any more.
pub(in super::super) fn put(bytes: Vec<u8>) {
    if (1..=LARGEST).contains(&bytes.capacity()) {
        FREE.with_borrow_mut(|free| {
            if free.len() == KEPT {
                // What was not asked for since.
                free.remove(0);
            }
            free.push(bytes);
        });
    }
}
