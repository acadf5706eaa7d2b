//! Free places: objects anywhere in the frame, none over another.
//!
//! On a grid of places a reader that knows pixels by heart binds as well as one that sees. With free places it has to see.

use super::Object;
use super::object::{decimal, label};
use super::world::World;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// How often one object is put somewhere until all of them are taken up again.
const TRIES: usize = 100;

/// How often all of them are taken up again.
const ROUNDS: usize = 50;

/// Puts `objects` anywhere in the frame of a world with free places, and does nothing in any other. Object `k` gets room for a box of
/// size `room[k]`, its own or more.
///
/// They are put one after another in random order, each anywhere until it touches none of those before; where that fails too often,
/// all anew; where that does too, in cells of a grid, each anywhere in its cell.
pub(super) fn settle(world: &World, objects: &mut [Object], room: &[f64], rng: &mut impl Rng) {
    let Some(free) = world.free else { return };
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.shuffle(rng);
    let found = (0..ROUNDS).find_map(|_| scattered(room, &order, free.gap, rng));
    let centres = found.unwrap_or_else(|| in_cells(room, free.gap, rng));
    for (object, [x, y]) in objects.iter_mut().zip(centres) {
        (object.x, object.y) = (x, y);
        label(world, object);
    }
}

/// As [`settle`] for two objects of a world with free places whose centres are to be `margin` or more apart along `axis`; the one that comes
/// to be left (or above) is the first then. Where they are not after many tries, they are as far apart as the frame allows.
pub(super) fn settle_apart(world: &World, objects: &mut [Object], axis: usize, margin: f64, rng: &mut impl Rng) {
    let (room, gap) = (sizes(objects), world.free.map_or(0.0, |free| free.gap));
    let mut order = [0, 1];
    order.shuffle(rng);
    let far = |centres: &Vec<[f64; 2]>| (centres[0][axis] - centres[1][axis]).abs() >= margin;
    let found = (0..ROUNDS * TRIES).find_map(|_| scattered(&room, &order, gap, rng).filter(far));
    let centres = found.unwrap_or_else(|| {
        let mut centres = in_cells(&room, gap, rng);
        (centres[0][axis], centres[1][axis]) = (decimal(room[0] / 2.0), decimal(1.0 - room[1] / 2.0));
        centres
    });
    for (object, [x, y]) in objects.iter_mut().zip(centres) {
        (object.x, object.y) = (x, y);
        label(world, object);
    }
    let along = |object: &Object| [object.x, object.y][axis];
    objects.sort_by(|a, b| along(a).total_cmp(&along(b)));
}

/// The sizes of `objects`, as room for [`settle`].
pub(super) fn sizes(objects: &[Object]) -> Vec<f64> {
    objects.iter().map(|object| object.size).collect()
}

/// Centres, or none where some object found no room.
fn scattered(room: &[f64], order: &[usize], gap: f64, rng: &mut impl Rng) -> Option<Vec<[f64; 2]>> {
    let mut centres = vec![[0.0; 2]; room.len()];
    for (done, &k) in order.iter().enumerate() {
        let half = (room[k] / 2.0).min(0.5);
        let mut anywhere = || decimal(rng.random_range(half..=1.0 - half));
        let clear = |[x, y]: [f64; 2]| {
            order[..done].iter().all(|&other| {
                let [left, top]: [f64; 2] = centres[other];
                (x - left).abs().max((y - top).abs()) >= f64::midpoint(room[k], room[other]) + gap
            })
        };
        let found = (0..TRIES).map(|_| [anywhere(), anywhere()]).find(|centre| clear(*centre))?;
        centres[k] = found;
    }
    Some(centres)
}

/// Centres in different cells of the coarsest grid that has enough.
fn in_cells(room: &[f64], gap: f64, rng: &mut impl Rng) -> Vec<[f64; 2]> {
    let side = (1..=room.len()).find(|side| side * side >= room.len()).unwrap_or(1);
    let pitch = (1.0 + gap) / side as f64;
    let mut cells: Vec<usize> = (0..side * side).collect();
    cells.shuffle(rng);
    let mut within = |cell: usize, size: f64| {
        let spare = (pitch - gap - size).max(0.0);
        decimal(cell as f64 * pitch + size / 2.0 + rng.random_range(0.0..=1.0) * spare)
    };
    room.iter().zip(cells).map(|(size, cell)| [within(cell % side, *size), within(cell / side, *size)]).collect()
}
