//! Lines over a common abscissa.

use super::axis::Axis;
use super::canvas::{Canvas, Draw, Place, Point};
use super::{AXIS, COLORS, GRID, check_size, text_size};
use crate::text::{INK, PALE_INK};
use burnsight_core::{Error, Result};
use image::RgbImage;
use plotters::backend::DrawingBackend;

/// One line per series, with a band for its interval and a legend at the right.
#[derive(Debug, Clone, PartialEq)]
pub struct LinePlot {
    /// Above the plot; shortened where it does not fit.
    pub title: String,
    /// Below the plot.
    pub x_label: String,
    /// At its left.
    pub y_label: String,
    /// Names of the abscissas 0, 1, 2, … where they are no numbers; else empty.
    pub ticks: Vec<String>,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// Ascending.
    pub x: Vec<f64>,
    /// As many as abscissas; the line has a gap where there is none, or none that is finite.
    pub y: Vec<Option<f64>>,
    /// As many as abscissas: the band around the line.
    pub band: Vec<Option<[f64; 2]>>,
}

/// Lines beyond the number of colours are told apart by their dashes.
const PATTERNS: [&[f64]; 3] = [&[], &[7.0, 4.0], &[2.0, 3.0]];

impl LinePlot {
    /// In pixels.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a size out of range (320 × 200 to 4096 × 4096), no series or points, and lists of different
    /// lengths.
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
        if self.series.iter().all(|series| series.x.is_empty()) {
            return Err(Error::parameter("series", self.series.len(), "a plot needs at least one line with points"));
        }
        match self.series.iter().find(|series| series.y.len() != series.x.len() || series.band.len() != series.x.len())
        {
            None => Ok(()),
            Some(series) => {
                let lengths = format!("{}, {} and {}", series.x.len(), series.y.len(), series.band.len());
                Err(Error::parameter("series", lengths, "x, y and band have one value per point"))
            }
        }
    }
}

impl Draw for LinePlot {
    fn draw<B: DrawingBackend>(&self, canvas: &mut Canvas<B>) -> Result<()> {
        canvas.clear()?;
        let (width, height) = (f64::from(canvas.width), f64::from(canvas.height));
        let size = text_size(canvas.width);
        let widest = self.series.iter().map(|series| canvas.text_width(&series.name, 0.9 * size)).fold(0.0, f64::max);
        let legend = (widest + 4.0 * size).min(0.4 * width);
        let tick_height = self.ticks.iter().map(|tick| canvas.text_width(tick, 0.9 * size)).fold(1.2 * size, f64::max);
        let (left, right) = (5.0 * size, width - legend);
        let (top, bottom) = (2.6 * size, height - 2.6 * size - tick_height.min(0.35 * height));
        let title = canvas.shorten(&self.title, 1.1 * size, width - 2.0 * size);
        canvas.text(&title, 1.1 * size, (size, 1.3 * size), Place::RightOf, INK)?;

        let numbers = |series: &Series| {
            let bands = series.band.iter().flatten().flatten().copied();
            series.y.iter().flatten().copied().chain(bands).collect::<Vec<f64>>()
        };
        let nothing = || Axis::tight([0.0, 1.0], 5).unwrap_or_else(|| unreachable!());
        let across = Axis::tight(self.series.iter().flat_map(|series| series.x.clone()), 6).unwrap_or_else(nothing);
        let up = Axis::of(self.series.iter().flat_map(numbers), 5).unwrap_or_else(nothing);
        let x = |value: f64| left + across.share(value) * (right - left);
        let y = |value: f64| bottom - up.share(value) * (bottom - top);
        for mark in up.marks() {
            canvas.line(&[(left, y(mark)), (right, y(mark))], if mark == 0.0 { AXIS } else { GRID }, 1.0)?;
            canvas.text(&up.label(mark), 0.9 * size, (left - 0.5 * size, y(mark)), Place::LeftOf, PALE_INK)?;
        }
        canvas.line(&[(left, bottom), (right, bottom)], AXIS, 1.0)?;
        if self.ticks.is_empty() {
            for mark in across.marks() {
                canvas.line(&[(x(mark), bottom), (x(mark), bottom + 0.3 * size)], AXIS, 1.0)?;
                canvas.text(&across.label(mark), 0.9 * size, (x(mark), bottom + size), Place::Around, PALE_INK)?;
            }
        }
        for (index, tick) in self.ticks.iter().enumerate() {
            let tick = canvas.shorten(tick, 0.9 * size, 0.35 * height);
            canvas.line(&[(x(index as f64), bottom), (x(index as f64), bottom + 0.3 * size)], AXIS, 1.0)?;
            canvas.text(&tick, 0.9 * size, (x(index as f64), bottom + 0.6 * size), Place::UpTo, PALE_INK)?;
        }
        let middle = ((left + right) / 2.0, (top + bottom) / 2.0);
        let x_label = canvas.shorten(&self.x_label, 0.9 * size, width - legend);
        canvas.text(&x_label, 0.9 * size, (middle.0, height - size), Place::Around, INK)?;
        let y_label = canvas.shorten(&self.y_label, 0.9 * size, bottom - top + size);
        canvas.text(&y_label, 0.9 * size, (size, middle.1), Place::UpAround, INK)?;

        for (index, series) in self.series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let is_finite = |band: [f64; 2]| band.iter().all(|edge| edge.is_finite());
            for part in parts(series, |place| series.band[place].is_some_and(is_finite)) {
                let edge = |end: usize| {
                    let points =
                        part.iter().filter_map(move |&place| Some((series.x[place], series.band[place]?[end])));
                    points.map(|(across, value)| (x(across), y(value))).collect::<Vec<Point>>()
                };
                let around: Vec<Point> = edge(0).into_iter().chain(edge(1).into_iter().rev()).collect();
                canvas.area(&around, color, 0.15)?;
            }
        }
        for (index, series) in self.series.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let pattern = PATTERNS[index / COLORS.len() % PATTERNS.len()];
            let line = |canvas: &mut Canvas<B>, points: &[Point]| match pattern {
                [] => canvas.line(points, color, 2.0),
                pattern => canvas.dashes(points, pattern, color, 2.0),
            };
            for part in parts(series, |place| series.y[place].is_some_and(f64::is_finite)) {
                let at = |&place: &usize| Some((x(series.x[place]), y(series.y[place]?)));
                let points: Vec<Point> = part.iter().filter_map(at).collect();
                line(canvas, &points)?;
                if let [alone] = points[..] {
                    canvas.dot(alone, 3.0, color)?;
                }
            }
            let row = top + (index as f64 + 0.5) * (1.5 * size).min((height - top - size) / self.series.len() as f64);
            line(canvas, &[(right + size, row), (right + 2.6 * size, row)])?;
            let name = canvas.shorten(&series.name, 0.9 * size, legend - 3.5 * size);
            canvas.text(&name, 0.9 * size, (right + 3.0 * size, row), Place::RightOf, INK)?;
        }
        canvas.finish()
    }
}

/// The stretches of points without a gap.
fn parts(series: &Series, is_there: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let places: Vec<usize> = (0..series.x.len()).filter(|place| is_there(*place)).collect();
    places.chunk_by(|a, b| a + 1 == *b).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn series(name: &str, y: &[Option<f64>]) -> Series {
        let x = (0..y.len()).map(|index| index as f64).collect();
        Series { name: name.into(), x, y: y.to_vec(), band: vec![None; y.len()] }
    }

    fn plot(series: Vec<Series>) -> LinePlot {
        let text = String::from;
        LinePlot { title: text("t"), x_label: text("x"), y_label: text("y"), ticks: Vec::new(), series }
    }

    /// The columns with pixels of the first colour, left of the legend.
    fn columns(plot: &LinePlot) -> Vec<u32> {
        let image = plot.image(700, 300).unwrap();
        let is_blue = |x: u32, y: u32| {
            let pixel = image.get_pixel(x, y);
            i32::from(pixel[2]) - i32::from(pixel[0]) > 100
        };
        (60..590).filter(|x| (0..300).any(|y| is_blue(*x, y))).collect()
    }

    #[test]
    fn a_missing_point_leaves_a_gap() {
        let whole = columns(&plot(vec![series("a", &[Some(0.0), Some(1.0), Some(0.5), Some(1.0), Some(0.2)])]));
        let gap = columns(&plot(vec![series("a", &[Some(0.0), Some(1.0), None, Some(1.0), Some(0.2)])]));
        let middle = (whole[0] + whole[whole.len() - 1]) / 2;
        assert!(whole.contains(&middle) && !gap.contains(&middle));
        assert!(gap.contains(&(whole[0] + 5)) && gap.contains(&(whole[whole.len() - 1] - 5)));
    }

    #[test]
    fn what_is_no_number_is_a_gap_too() {
        let gap = columns(&plot(vec![series("a", &[Some(0.0), Some(1.0), Some(f64::NAN), Some(1.0), Some(0.2)])]));
        let none = columns(&plot(vec![series("a", &[Some(0.0), Some(1.0), None, Some(1.0), Some(0.2)])]));
        assert_eq!(gap, none);
    }

    #[test]
    fn svg_has_every_name_escaped() {
        let mut plot = plot(vec![series("grad & <cam>", &[Some(1.0), Some(2.0)]), series("b", &[None, None])]);
        plot.ticks = vec!["none".into(), "features.10".into()];
        let svg = plot.svg(700, 300).unwrap();
        assert!(svg.contains("grad &amp; &lt;cam&gt;") && svg.contains("features.10"), "{svg}");
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(plot(vec![]).svg(700, 300).unwrap_err().to_string().contains("`series` is 0"));
        let short = Series { band: Vec::new(), ..series("a", &[Some(1.0)]) };
        assert!(plot(vec![short]).image(700, 300).unwrap_err().to_string().contains("1, 1 and 0"));
    }
}
