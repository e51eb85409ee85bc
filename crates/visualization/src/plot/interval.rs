//! Means with their intervals, one row each.

use super::axis::Axis;
use super::canvas::{Canvas, Draw, Place};
use super::{AXIS, COLORS, GRID, check_size, text_size};
use crate::text::{INK, PALE_INK};
use burnsight_core::{Error, Result};
use image::RgbImage;
use plotters::backend::DrawingBackend;

/// A dot with a whisker per row, over a common axis.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalPlot {
    /// Above the plot; shortened where it does not fit.
    pub title: String,
    /// Below the axis, for instance which values are good.
    pub x_label: String,
    /// From top to bottom.
    pub rows: Vec<IntervalRow>,
}

/// One mean.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalRow {
    /// Left of the axis.
    pub name: String,
    /// The dot; without one the row says that it is not defined.
    pub mean: Option<f64>,
    /// The whisker.
    pub interval: Option<[f64; 2]>,
}

impl IntervalPlot {
    /// In pixels.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size out of range (320 × 200 to 4096 × 4096), or no rows.
    pub fn image(&self, width: u32, height: u32) -> Result<RgbImage> {
        self.check(width, height)?;
        self.to_image(width, height)
    }

    /// As SVG, for a page. Letters are the reader's own.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    pub fn svg(&self, width: u32, height: u32) -> Result<String> {
        self.check(width, height)?;
        self.to_svg(width, height)
    }

    fn check(&self, width: u32, height: u32) -> Result<()> {
        check_size(width, height)?;
        match self.rows.is_empty() {
            true => Err(Error::parameter("rows", 0, "a plot needs at least one row")),
            false => Ok(()),
        }
    }
}

impl Draw for IntervalPlot {
    fn draw<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        canvas.clear()?;
        let (width, height) = (f64::from(canvas.width), f64::from(canvas.height));
        let size = text_size(canvas.width);
        let widest = self.rows.iter().map(|row| canvas.text_width(&row.name, size)).fold(0.0, f64::max);
        let left = (widest + 2.0 * size).min(0.5 * width);
        let (right, top, bottom) = (width - 1.5 * size, 2.6 * size, height - 3.6 * size);
        let title = canvas.shorten(&self.title, 1.1 * size, width - 2.0 * size);
        canvas.text(&title, 1.1 * size, (size, 1.3 * size), Place::RightOf, INK)?;

        let values = self.rows.iter().flat_map(|row| row.mean.into_iter().chain(row.interval.into_iter().flatten()));
        // Where nothing is defined there is still a plot that says so.
        let axis = Axis::of(values, 5).or_else(|| Axis::tight([0.0, 1.0], 5)).unwrap_or_else(|| unreachable!());
        let x = |value: f64| left + axis.share(value) * (right - left);
        for mark in axis.marks() {
            canvas.line(&[(x(mark), top), (x(mark), bottom)], if mark == 0.0 { AXIS } else { GRID }, 1.0)?;
            canvas.text(&axis.label(mark), 0.9 * size, (x(mark), bottom + size), Place::Around, PALE_INK)?;
        }
        let label = canvas.shorten(&self.x_label, 0.9 * size, right - left);
        canvas.text(&label, 0.9 * size, ((left + right) / 2.0, bottom + 2.4 * size), Place::Around, INK)?;

        let row_height = (bottom - top) / self.rows.len() as f64;
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + (index as f64 + 0.5) * row_height;
            let name = canvas.shorten(&row.name, size, left - 1.5 * size);
            canvas.text(&name, size, (left - 0.8 * size, y), Place::LeftOf, INK)?;
            let Some(mean) = row.mean.filter(|mean| mean.is_finite()) else {
                canvas.text("not defined", 0.9 * size, (left + 0.5 * size, y), Place::RightOf, PALE_INK)?;
                continue;
            };
            if let Some([low, high]) = row.interval.filter(|ends| ends.iter().all(|end| end.is_finite())) {
                canvas.line(&[(x(low), y), (x(high), y)], COLORS[0], 2.0)?;
                for end in [low, high] {
                    canvas.line(&[(x(end), y - 0.3 * size), (x(end), y + 0.3 * size)], COLORS[0], 2.0)?;
                }
            }
            canvas.dot((x(mean), y), 0.28 * size, COLORS[0])?;
        }
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plot() -> IntervalPlot {
        let row = |name: &str, mean, interval| IntervalRow { name: name.into(), mean, interval };
        IntervalPlot {
            title: "deletion & <insertion>".into(),
            x_label: "lower is better".into(),
            rows: vec![row("a", Some(0.0), Some([0.0, 0.5])), row("b", Some(1.0), None), row("c", None, None)],
        }
    }

    #[test]
    fn means_lie_where_they_belong() {
        let image = plot().image(600, 300).unwrap();
        let blue: Vec<(u32, u32)> = image
            .enumerate_pixels()
            .filter(|(_, _, pixel)| i32::from(pixel[2]) - i32::from(pixel[0]) > 120)
            .map(|(x, y, _)| (x, y))
            .collect();
        let column = |low: u32, high: u32| blue.iter().filter(move |(_, y)| (low..high).contains(y)).map(|(x, _)| *x);
        // Rows from 31 to 257, 75 each: a whisker over half of the axis, and a dot at its end.
        let (first, second) = (column(60, 78), column(138, 152));
        let [low, high] = [first.clone().min().unwrap(), first.max().unwrap()];
        let [dot, end] = [second.clone().min().unwrap(), second.max().unwrap()];
        assert!(dot > high && end - dot < 14, "{low} {high} {dot} {end}");
        assert_eq!(column(200, 257).count(), 0);
    }

    #[test]
    fn svg_is_escaped_and_says_what_is_undefined() {
        let svg = plot().svg(600, 300).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("deletion &amp; &lt;insertion&gt;"), "{svg}");
        assert!(svg.contains("not defined"));
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        let empty = IntervalPlot { rows: Vec::new(), ..plot() };
        assert!(empty.svg(600, 300).unwrap_err().to_string().contains("`rows` is 0"));
        assert!(plot().image(10, 300).unwrap_err().to_string().contains("`width` is 10"));
    }
}
