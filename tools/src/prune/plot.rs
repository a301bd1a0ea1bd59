//! Error and size against sparsity, as a picture.

use crate::text::grouped;
use plotters::coord::Shift;
use plotters::prelude::*;
use tfzip::SweepReport;
use tfzip::{Error, Result};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (960, 960);

/// Weights with names in the legend; more would hide the lines.
const MAX_NAMED: usize = 16;

/// An SVG file: above, the relative error of each weight; below, the bytes to expect of the `.tfz`
/// file.
///
/// # Errors
/// `Io` if the picture can't be drawn.
pub fn svg(report: &SweepReport, steps: &[f64]) -> Result<String> {
    let mut text = String::new();
    draw(report, steps, &mut text)
        .map_err(|e| Error::io("cannot draw", std::io::Error::other(e.to_string())))?;
    Ok(text)
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(report: &SweepReport, steps: &[f64], text: &mut String) -> Drawn {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(SIZE.1 * 3 / 5);
    errors(report, &above)?;
    sizes(report, steps, &below)?;
    area.present()?;
    Ok(())
}

fn errors(report: &SweepReport, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption("relative error of each weight", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("sparsity")
        .y_desc("‖w − w′‖ / ‖w‖")
        .draw()?;
    for (number, tensor) in report.tensors.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let points = tensor.points.iter().map(|p| (p.sparsity, p.relative_error));
        let mut points: Vec<(f64, f64)> = points.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let line = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
        if number < MAX_NAMED {
            line.label(tensor.name.as_str()).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
            });
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

fn sizes(report: &SweepReport, steps: &[f64], area: &DrawingArea<SVGBackend<'_>, Shift>) -> Drawn {
    let bytes: Vec<f64> = (0..steps.len())
        .map(|step| report.archive_bytes(step) as f64)
        .collect();
    let most = bytes.iter().copied().fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption("bytes of the .tfz file", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..1.0, 0.0..1.05 * most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("sparsity")
        .y_label_formatter(&|bytes| grouped(*bytes as u64))
        .draw()?;
    let mut points: Vec<(f64, f64)> = steps.iter().copied().zip(bytes).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    chart.draw_series(LineSeries::new(
        points.iter().copied(),
        BLACK.stroke_width(2),
    ))?;
    chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, BLACK.filled())))?;
    Ok(())
}
