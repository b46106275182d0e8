//! ROC curves as a picture: both kinds of mistakes on logarithmic scales, where good filters differ.

use std::fmt::Write as _;

use super::scores::Run;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
const MARGIN: f64 = 70.0;

/// Least and most that the axes show, of one.
const LEAST: f64 = 1e-4;

const COLOURS: [&str; 9] =
    ["#0057b8", "#5b9bd5", "#9dc3e6", "#7030a0", "#b48ad0", "#c00000", "#e07b00", "#548235", "#7f7f7f"];

pub(super) fn svg(runs: &[Run]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    axes(&mut svg);
    for ((run, colour), row) in runs.iter().zip(COLOURS.iter().cycle()).zip(0_u32..) {
        let points: Vec<String> = steps(run).iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        let y = MARGIN + 8.0 + f64::from(row) * 18.0;
        let x = WIDTH - MARGIN - 250.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}, {}: 1-ROCA {:.4} %</text>",
            y - 6.0,
            x + 20.0,
            run.filter,
            run.way,
            run.area_above()
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn axes(svg: &mut String) {
    for (power, name) in [(-4, "0.01 %"), (-3, "0.1 %"), (-2, "1 %"), (-1, "10 %"), (0, "100 %")] {
        let (x, y) = (across(10_f64.powi(power)), down(10_f64.powi(power)));
        let (left, right, top, bottom) = (MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\
             <text x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>",
            bottom + 18.0,
            left - 6.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">wanted mail taken for unwanted</text>\
         <text x=\"{MARGIN}\" y=\"{}\">unwanted mail missed</text>",
        WIDTH / 2.0,
        HEIGHT - 20.0,
        MARGIN - 20.0
    );
}

/// The curve as a staircase on the picture.
fn steps(run: &Run) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for point in run.curve() {
        let (x, y) = (across(point.false_alarms), down(1.0 - point.caught));
        if let Some(&(_, before)) = steps.last() {
            steps.push((x, before));
        }
        steps.push((x, y));
    }
    steps.dedup();
    steps
}

fn across(part: f64) -> f64 {
    MARGIN + scale(part) * (WIDTH - 2.0 * MARGIN)
}

fn down(part: f64) -> f64 {
    HEIGHT - MARGIN - scale(part) * (HEIGHT - 2.0 * MARGIN)
}

/// 0 at the least that is shown, 1 at all.
fn scale(part: f64) -> f64 {
    1.0 - part.max(LEAST).log10() / LEAST.log10()
}
