//! ROC curves as a picture: both kinds of mistakes on logarithmic scales, where good filters differ.

use std::fmt::Write as _;

use super::scores::Run;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
const MARGIN: f64 = 70.0;
/// Beside the curves, for what they are.
const LEGEND: f64 = 330.0;

/// Least and most that the axes show, of one.
const LEAST: f64 = 1e-4;

/// Each filter has a colour, ours some.
const OURS: [&str; 8] =
    ["#0057b8", "#5b9bd5", "#7030a0", "#b48ad0", "#0b8f8f", "#1f2d5a", "#c2185b", "#6d4c41"];
const OTHERS: [(&str, &str); 3] =
    [("spamassassin", "#e07b00"), ("bogofilter", "#548235"), ("rspamd", "#c00000")];

pub(super) fn svg(runs: &[Run]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEGEND
    );
    axes(&mut svg);
    let mut ours = OURS.iter().cycle();
    for (run, row) in runs.iter().zip(0_u32..) {
        let other = OTHERS.iter().find(|(filter, _)| *filter == run.filter).map(|(_, colour)| *colour);
        let colour = other.or_else(|| ours.next().copied()).unwrap_or("black");
        // Judged and learned one by one: another way of the same filter.
        let dashes = if run.way.contains("online") { " stroke-dasharray=\"6 3\"" } else { "" };
        let line = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}");
        let y = MARGIN + 8.0 + f64::from(row) * 20.0;
        let x = WIDTH - MARGIN + 15.0;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" {line}/><path d=\"M{x} {}h24\" {line}/>\
             <text x=\"{}\" y=\"{y}\">{}, {}: 1-ROCA {:.4} %</text>",
            points(&steps(run)),
            y - 4.5,
            x + 30.0,
            run.filter,
            run.way,
            run.area_above()
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The corners of a staircase, as far as a picture can show them.
fn points(steps: &[(f64, f64)]) -> String {
    let mut corners: Vec<(i64, i64)> = Vec::new();
    for (x, y) in steps {
        let next = ((x * 10.0).round() as i64, (y * 10.0).round() as i64);
        if let [.., (x1, y1), (x2, y2)] = corners.as_slice()
            && ((*x1 == *x2 && *x2 == next.0) || (*y1 == *y2 && *y2 == next.1))
        {
            corners.pop();
        }
        corners.push(next);
    }
    let corners = corners.iter().map(|(x, y)| format!("{:.1},{:.1}", *x as f64 / 10.0, *y as f64 / 10.0));
    corners.collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_is_drawn_by_its_corners() {
        let stairs = [(70.0, 70.0), (70.0, 80.0), (70.01, 90.04), (80.0, 90.0), (90.0, 90.0), (90.0, 95.0)];
        assert_eq!(points(&stairs), "70.0,70.0 70.0,90.0 90.0,90.0 90.0,95.0");
    }
}
