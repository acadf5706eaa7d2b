//! GIF files: the first picture, on a canvas as large as the file says or as the picture needs.

use super::png::entries;
use super::{Decoded, Mode, check_size};
use crate::{Error, Result};
use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Decoded> {
    let malformed = |source: DecodingError| Error::malformed(place, source);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.check_frame_consistency(false);
    options.allow_unknown_blocks(true);
    // Sizes are checked here.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let mut decoder = options.read_info(bytes).map_err(malformed)?;
    let screen = [decoder.height(), decoder.width()].map(usize::from);
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.next_frame_info().map_err(malformed)?;
    let frame = frame.ok_or_else(|| Error::mismatch(place, "a picture in the GIF file", "none"))?.clone();
    let [top, left, rows, columns] = [frame.top, frame.left, frame.height, frame.width].map(usize::from);
    let size = [screen[0].max(top + rows), screen[1].max(left + columns)];
    check_size(place, size[1], size[0], 3)?;
    let mut indices = vec![0; rows * columns];
    decoder.read_into_buffer(&mut indices).map_err(malformed)?;

    // A palette of which every colour is its own index is none to Pillow.
    let ramp = |palette: &[u8]| palette.as_chunks::<3>().0.iter().enumerate().all(|(i, c)| *c == [i as u8; 3]);
    let palette = frame.palette.or(global).filter(|palette| !ramp(palette));
    let mut data = vec![frame.transparent.unwrap_or(0); size[0] * size[1]];
    if columns > 0 {
        for (row, indices) in indices.chunks_exact(columns).enumerate() {
            let at = (top + row) * size[1] + left;
            data[at..at + columns].copy_from_slice(indices);
        }
    }
    let Some(palette) = palette else {
        let mut picture = Decoded::new(size, Mode::Grey, data);
        picture.clear = frame.transparent.map(|index| [index; 3]);
        return Ok(picture);
    };
    let mut picture = Decoded::new(size, Mode::Palette, data);
    picture.palette = entries(palette.as_chunks().0);
    picture.clear = frame.transparent.map(|index| picture.palette[usize::from(index)]);
    Ok(picture)
}
