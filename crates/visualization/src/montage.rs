//! Several pictures and methods side by side on one sheet.

use crate::text::{INK, PALE_INK, Text};
use crate::{Drawing, Legend};
use burnsight_core::{Error, Result};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use std::iter::once;

/// A white sheet: one row per picture, the original first, then one column per method; headings above, captions to the
/// left, and below one colour bar for every scale in use.
#[derive(Debug, Clone)]
pub struct Montage {
    /// Side of a cell in pixels, 48 to 2048. Pictures are fitted into it whole; beside them it stays white, and where
    /// nothing in a row is as high as the cell, the row is as high as its highest picture.
    pub cell: u32,
    /// Headings of the columns after the first, which is headed "Picture". At most two lines, then shortened.
    pub methods: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<MontageRow>,
}

/// One picture and its maps.
#[derive(Debug, Clone)]
pub struct MontageRow {
    /// The original.
    pub picture: RgbImage,
    /// Lines of text beside it, for instance class and probability; may be empty. A long one is broken over two lines
    /// and shortened where it is longer still; lines that the cell has no room for are left out.
    pub caption: Vec<String>,
    /// One for every method, in the order of the headings.
    pub cells: Vec<MontageCell>,
}

/// One drawn map.
#[derive(Debug, Clone)]
pub struct MontageCell {
    image: RgbImage,
    legend: Legend,
    note: String,
}

impl MontageCell {
    /// A drawing and how it is shown: `image` is [`Drawing::over`] a picture, or [`Drawing::image`] alone. The
    /// drawing's notes appear below it.
    pub fn new(drawing: &Drawing, image: RgbImage) -> Self {
        Self { image, legend: drawing.legend(), note: drawing.notes.join("; ") }
    }
}

impl MontageRow {
    fn images(&self) -> impl Iterator<Item = &RgbImage> {
        once(&self.picture).chain(self.cells.iter().map(|cell| &cell.image))
    }
}

impl Montage {
    /// Draws the sheet. Its size follows from the number of rows and columns, the cell and the texts.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `cell` is out of range, there is no row or method, a row has not one cell for every
    /// method, or the sheet would have more than 2²⁸ pixels (800 MB); [`Error::Image`] for a picture without pixels.
    pub fn render(&self) -> Result<RgbImage> {
        self.check()?;
        let layout = Layout::of(self);
        if u64::from(layout.width) * u64::from(layout.height) > 1 << 28 {
            let need = format!("the sheet would be {} × {} pixels; make cells smaller", layout.width, layout.height);
            return Err(Error::parameter("cell", self.cell, &need));
        }
        let mut sheet = RgbImage::from_pixel(layout.width, layout.height, Rgb([255; 3]));
        for (column, heading) in self.headings().enumerate() {
            let lines = layout.text.wrap(heading, self.cell, HEADING_LINES);
            // Headings stand on their columns: one line is set where the last of two would be.
            let top = layout.rows[0].top - layout.gap / 2 - lines.len() as u32 * layout.text.line_height;
            draw_centred(&mut sheet, &layout.text, &lines, (layout.column(column), top), self.cell, INK);
        }
        for (row, place) in self.rows.iter().zip(&layout.rows) {
            layout.draw_caption(&mut sheet, place);
            let notes = once("").chain(row.cells.iter().map(|cell| cell.note.as_str()));
            for (column, (image, note)) in row.images().zip(notes).enumerate() {
                let (width, height) = fitted(image, self.cell);
                let (left, top) = (layout.column(column), place.top + (place.height - height) / 2);
                let small = imageops::resize(image, width, height, FilterType::CatmullRom);
                imageops::replace(&mut sheet, &small, (left + (self.cell - width) / 2).into(), top.into());
                let lines = layout.small.wrap(note, self.cell, NOTE_LINES);
                let corner = (left, top + height + layout.gap / 4);
                draw_centred(&mut sheet, &layout.small, &lines, corner, self.cell, PALE_INK);
            }
        }
        for (legend, corner) in &layout.legends {
            legend.draw(&mut sheet, &layout.small, *corner, layout.legend_width);
        }
        Ok(sheet)
    }

    fn headings(&self) -> impl Iterator<Item = &str> {
        once("Picture").chain(self.methods.iter().map(String::as_str))
    }

    fn check(&self) -> Result<()> {
        if !(48..=2048).contains(&self.cell) {
            return Err(Error::parameter("cell", self.cell, "give 48 to 2048 pixels"));
        }
        if self.rows.is_empty() || self.methods.is_empty() {
            let size = format!("{} by {}", self.rows.len(), self.methods.len());
            return Err(Error::parameter("rows by methods", size, "a montage needs at least one of each"));
        }
        for (number, row) in self.rows.iter().enumerate() {
            if row.cells.len() != self.methods.len() {
                let need = format!("row {number} needs one cell for each of {} methods", self.methods.len());
                return Err(Error::parameter("cells", row.cells.len(), &need));
            }
            if row.images().any(|image| image.width() == 0 || image.height() == 0) {
                return Err(Error::image(format!("in row {number} of the montage"), "it has no pixels"));
            }
        }
        Ok(())
    }
}

const HEADING_LINES: usize = 2;
const NOTE_LINES: usize = 2;
/// Lines that one line of a caption may be broken into.
const CAPTION_LINES: usize = 2;

/// Where everything goes.
struct Layout<'a> {
    /// Between cells; the sheet's margin is twice as wide.
    gap: u32,
    cell: u32,
    /// Left edge of the first column; captions, if there are any, end a margin before it.
    left: u32,
    text: Text,
    small: Text,
    rows: Vec<RowPlace>,
    legends: Vec<(&'a Legend, (u32, u32))>,
    legend_width: u32,
    width: u32,
    height: u32,
}

/// A row of pictures; notes, if there are any, come below it.
struct RowPlace {
    top: u32,
    height: u32,
    /// Lines and their colours.
    caption: Vec<(String, [u8; 3])>,
}

impl<'a> Layout<'a> {
    fn of(montage: &'a Montage) -> Self {
        let cell = montage.cell;
        let size = (cell as f32 / 11.0).clamp(14.0, 28.0);
        let (text, small) = (Text::new(size), Text::new(0.9 * size));
        let gap = (cell / 20).clamp(6, 24);
        let margin = 2 * gap;

        let captions: Vec<_> = montage.rows.iter().map(|row| caption_lines(&text, &row.caption, cell)).collect();
        let caption_width = captions.iter().flatten().map(|(words, _)| text.width(words)).max().unwrap_or(0);
        let left = margin + if caption_width > 0 { caption_width + margin } else { 0 };
        let columns = montage.methods.len() as u32 + 1;
        let width = left + columns * (cell + gap) - gap + margin;

        let heading_lines = montage.headings().map(|h| text.wrap(h, cell, HEADING_LINES).len()).max().unwrap_or(0);
        let mut top = margin + heading_lines as u32 * text.line_height + gap / 2;
        let mut rows = Vec::new();
        for (row, caption) in montage.rows.iter().zip(captions) {
            let caption_height = (caption.len() as u32 * text.line_height).min(cell);
            let highest = row.images().map(|image| fitted(image, cell).1).max().unwrap_or(0);
            let note_lines = row.cells.iter().map(|c| small.wrap(&c.note, cell, NOTE_LINES).len()).max().unwrap_or(0);
            let height = highest.max(caption_height);
            rows.push(RowPlace { top, height, caption });
            top += height + note_lines as u32 * small.line_height + gap;
        }

        let mut in_use: Vec<&Legend> = Vec::new();
        for cell in montage.rows.iter().flat_map(|row| &row.cells) {
            if !in_use.contains(&&cell.legend) {
                in_use.push(&cell.legend);
            }
        }
        let room = width - 2 * margin;
        let legend_width = room.min((18.0 * size) as u32);
        let per_line = (room + margin) / (legend_width + margin);
        let legend_height = in_use.iter().map(|legend| legend.height(&small, legend_width)).max().unwrap_or(0) + gap;
        top += gap;
        let place = |(i, legend): (u32, &'a Legend)| {
            (legend, (margin + i % per_line * (legend_width + margin), top + i / per_line * legend_height))
        };
        let legends: Vec<_> = (0..).zip(in_use).map(place).collect();
        let height = top + (legends.len() as u32).div_ceil(per_line) * legend_height + gap;
        Self { gap, cell, left, text, small, rows, legends, legend_width, width, height }
    }

    /// Left edge of a column; 0 is the picture's.
    fn column(&self, column: usize) -> u32 {
        self.left + column as u32 * (self.cell + self.gap)
    }

    /// Beside the pictures of a row, at half its height.
    fn draw_caption(&self, sheet: &mut RgbImage, row: &RowPlace) {
        let fitting = row.caption.len().min((row.height / self.text.line_height) as usize);
        let mut top = row.top + (row.height - fitting as u32 * self.text.line_height) / 2;
        for (words, color) in &row.caption[..fitting] {
            self.text.draw(sheet, words, (2 * self.gap, top), *color);
            top += self.text.line_height;
        }
    }
}

/// A caption broken into lines that fit; those of its first line are darker than the others.
fn caption_lines(text: &Text, caption: &[String], width: u32) -> Vec<(String, [u8; 3])> {
    let broken = |(i, line): (usize, &String)| {
        let color = if i == 0 { INK } else { PALE_INK };
        text.wrap(line, width, CAPTION_LINES).into_iter().map(move |words| (words, color))
    };
    caption.iter().enumerate().flat_map(broken).collect()
}

/// Lines of text, each in the middle of the `width` pixels right of the corner.
fn draw_centred(
    sheet: &mut RgbImage,
    text: &Text,
    lines: &[String],
    (left, mut top): (u32, u32),
    width: u32,
    color: [u8; 3],
) {
    for line in lines {
        text.draw(sheet, line, (left + (width - text.width(line)) / 2, top), color);
        top += text.line_height;
    }
}

/// Width and height of the whole picture, as large as a square cell can hold it.
fn fitted(image: &RgbImage, cell: u32) -> (u32, u32) {
    let scale = f64::from(cell) / f64::from(image.width().max(image.height()));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    (side(image.width()), side(image.height()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{SaliencyMap, Style};

    fn black(width: u32, height: u32) -> RgbImage {
        RgbImage::new(width, height)
    }

    fn cell(style: &Style, value: f32, image: RgbImage) -> MontageCell {
        let map = SaliencyMap::new(1, 1, 2, vec![value, 0.0]).unwrap();
        MontageCell::new(&style.draw(&map).unwrap(), image)
    }

    fn montage(cell_size: u32, pictures: &[(u32, u32)], methods: usize, words: &str) -> Montage {
        let row = |&(width, height): &(u32, u32)| MontageRow {
            picture: black(width, height),
            caption: if words.is_empty() { vec![] } else { vec![words.to_owned(); 9] },
            cells: vec![cell(&Style::sequential(), 1.0, black(width, height)); methods],
        };
        Montage { cell: cell_size, methods: vec![words.to_owned(); methods], rows: pictures.iter().map(row).collect() }
    }

    #[test]
    fn pictures_stand_where_the_layout_says() {
        // Cell 100: letters of 14 with lines of 17 pixels, gap 6, margin 12; top of the row 12 + 17 + 3.
        let sheet = montage(100, &[(50, 50)], 2, "").render().unwrap();
        assert_eq!(sheet.width(), 12 + 3 * 100 + 2 * 6 + 12);
        for (x, y, pixel) in sheet.enumerate_pixels().filter(|&(_, y, _)| (30..134).contains(&y)) {
            let inside = [12, 118, 224].iter().any(|&left| (left..left + 100).contains(&x)) && (32..132).contains(&y);
            assert_eq!(pixel.0, if inside { [0; 3] } else { [255; 3] }, "{x} {y}");
        }
    }

    #[test]
    fn pictures_that_are_not_square_keep_their_shape_in_the_middle_of_the_cell() {
        assert_eq!(fitted(&black(640, 427), 100), (100, 67));
        assert_eq!(fitted(&black(1, 1000), 100), (1, 100));
        let mut with_note = montage(100, &[(50, 100)], 1, "");
        with_note.rows[0].cells[0].image = black(100, 50);
        let sheet = with_note.render().unwrap();
        let black_in = |left: u32| {
            let pixels = sheet.enumerate_pixels().filter(|(_, _, p)| p.0 == [0; 3]);
            let inside: Vec<_> =
                pixels.filter(|&(x, y, _)| (left..left + 100).contains(&x) && (32..132).contains(&y)).collect();
            (inside[0].0 - left, inside[0].1 - 32, inside.len())
        };
        assert_eq!(black_in(12), (25, 0, 50 * 100));
        assert_eq!(black_in(118), (0, 25, 100 * 50));
    }

    #[test]
    fn a_row_is_as_high_as_its_highest_picture() {
        let height = |pictures: &[(u32, u32)]| montage(100, pictures, 1, "").render().unwrap().height();
        assert_eq!(height(&[(100, 100)]) - height(&[(100, 40)]), 60);
        assert_eq!(height(&[(100, 40), (100, 40)]) - height(&[(100, 40)]), 40 + 6);
    }

    #[test]
    fn a_caption_with_too_many_lines_makes_no_row_higher_than_its_cell() {
        let montage = montage(48, &[(30, 7)], 1, "two words"); // nine times: 153 pixels
        assert_eq!(Layout::of(&montage).rows[0].height, 48);
    }

    #[test]
    fn no_text_escapes_its_place() {
        for size in [48, 96, 200] {
            for words in
                ["W", "mmmmmmmmmmmmmmmmmmmmmmmmmmm", "three-toed sloth, ai, Bradypus tridactylus", "教会 Церковь"]
            {
                let mut montage = montage(size, &[(30, 30), (30, 7)], 3, words);
                montage.rows[1].cells[1].note = words.repeat(3);
                let (sheet, layout) = (montage.render().unwrap(), Layout::of(&montage));
                let legends_top = layout.legends[0].1.1;
                let allowed = |x: u32, y: u32| {
                    // A stroke may be smoothed into the pixel beside its box.
                    let in_caption = x < layout.left - 2 * layout.gap + 1;
                    let in_column = (0..4).map(|c| layout.column(c)).any(|left| (left - 1..=left + size).contains(&x));
                    let in_row = layout.rows.iter().any(|row| (row.top..row.top + row.height).contains(&y));
                    let margin = 2 * layout.gap;
                    let in_margin = x + 1 < margin || x > layout.width - margin || y < margin;
                    !in_margin && (y >= legends_top || in_column || in_caption && in_row)
                };
                for (x, y, pixel) in sheet.enumerate_pixels() {
                    assert!(pixel.0 == [255; 3] || allowed(x, y), "{words} at {x} {y} of cell {size}");
                }
            }
        }
    }

    #[test]
    fn every_scale_in_use_has_one_colour_bar() {
        let mut montage = montage(100, &[(9, 9)], 2, "a");
        assert_eq!(Layout::of(&montage).legends.len(), 1);
        montage.rows[0].cells[1] = cell(&Style::diverging(), 1.0, black(9, 9));
        assert_eq!(Layout::of(&montage).legends.len(), 2);
        let shared = Style::diverging().shared_over([&SaliencyMap::new(1, 1, 1, vec![3.0]).unwrap()]).unwrap();
        montage.rows[0].cells[0] = cell(&shared, 1.0, black(9, 9));
        let layout = Layout::of(&montage);
        assert_eq!(layout.legends.len(), 2);
        let inside = |&(_, (left, top)): &(&Legend, (u32, u32))| {
            left + layout.legend_width <= layout.width && top < layout.height
        };
        assert!(layout.legends.iter().all(inside));
    }

    #[test]
    fn notes_are_written_below_their_map() {
        let mut montage = montage(100, &[(9, 9)], 1, "");
        let without = montage.render().unwrap();
        montage.rows[0].cells[0] = cell(&Style::sequential(), 0.0, black(9, 9));
        let with = montage.render().unwrap();
        assert!(with.height() > without.height());
        let ink = |sheet: &RgbImage| {
            sheet.enumerate_pixels().filter(|(_, y, p)| (133..144).contains(y) && p[0] < 160).count()
        };
        assert_eq!(ink(&without), 0);
        assert!(ink(&with) > 30);
    }

    #[test]
    fn the_smallest_and_a_large_sheet_are_drawn() {
        montage(48, &[(1, 1)], 1, "").render().unwrap();
        let sheet = montage(64, &[(20, 15); 20], 10, "church").render().unwrap();
        assert!(sheet.width() > 11 * 64 && sheet.height() > 20 * 48);
    }

    #[test]
    fn sheets_that_cannot_be_drawn_are_refused() {
        let message = |montage: Montage| montage.render().unwrap_err().to_string();
        assert!(message(montage(47, &[(1, 1)], 1, "")).contains("48 to 2048"));
        assert!(message(montage(100, &[], 1, "")).contains("0 by 1"));
        assert!(message(montage(100, &[(1, 1)], 0, "")).contains("1 by 0"));
        assert!(message(montage(100, &[(0, 1)], 1, "")).contains("no pixels"));
        assert!(message(montage(2048, &[(1, 1); 70], 1, "")).contains("smaller"));
        let mut ragged = montage(100, &[(1, 1)], 2, "");
        ragged.rows[0].cells.pop();
        assert!(message(ragged).contains("row 0 needs one cell for each of 2 methods"));
    }
}
