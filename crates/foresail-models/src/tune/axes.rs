//! The unit box that a surrogate sees: the dimensions that are free, on a scale that suits them.

use foresail_core::propose::plan::Plan;

use super::space::Space;

/// How a resource is laid out along its dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In equal amounts.
    Linear,
    /// In equal factors, where a range begins above zero: a container's times follow from by how
    /// much it has more, and the best of ten gigabytes is often the first half.
    Logarithmic,
}

/// The free dimensions of a space.
#[derive(Clone, Debug)]
pub struct Axes {
    space: Space,
    /// Places of the dimensions that have more than one value.
    free: Vec<usize>,
    layout: Layout,
}

impl Axes {
    /// The free dimensions.
    ///
    /// # Errors
    /// None is free.
    pub fn new(space: &Space, layout: Layout) -> Result<Self, String> {
        let ranges = space.ranges.iter().enumerate();
        let free: Vec<usize> = ranges
            .filter(|(_, r)| r.to > r.from && r.step > 0.0)
            .map(|(place, _)| place)
            .collect();
        if free.is_empty() {
            return Err("nothing to tune: every range of the space is one value".to_owned());
        }
        Ok(Self {
            space: space.clone(),
            free,
            layout,
        })
    }

    /// Number of free dimensions.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.free.len()
    }

    /// From a coordinate of the box to the share of the range.
    fn share(&self, place: usize, coordinate: f64) -> f64 {
        let range = &self.space.ranges[place];
        if self.layout == Layout::Logarithmic && range.from > 0.0 {
            range.share(range.from * (range.to / range.from).powf(coordinate))
        } else {
            coordinate
        }
    }

    /// The plan nearest to a point of the box; shape `[dimensions]`.
    #[must_use]
    pub fn plan(&self, point: &[f64]) -> Plan {
        let mut shares = vec![0.0; self.space.dimensions()];
        for (place, coordinate) in self.free.iter().zip(point) {
            shares[*place] = self.share(*place, *coordinate);
        }
        self.space.plan(&shares)
    }

    /// The point of a plan; `None` where it leaves a dimension open.
    #[must_use]
    pub fn point(&self, plan: &Plan) -> Option<Vec<f64>> {
        let shares = self.space.point(plan)?;
        let coordinate = |place: &usize| {
            let range = &self.space.ranges[*place];
            if self.layout == Layout::Logarithmic && range.from > 0.0 {
                let value = range.from + shares[*place] * (range.to - range.from);
                (value / range.from).ln() / (range.to / range.from).ln()
            } else {
                shares[*place]
            }
        };
        Some(self.free.iter().map(coordinate).collect())
    }

    /// The points one step up and down along each dimension; some may be the point itself, at an
    /// edge.
    #[must_use]
    pub fn neighbours(&self, point: &[f64]) -> Vec<Vec<f64>> {
        let Some(shares) = self.space.point(&self.plan(point)) else {
            return Vec::new();
        };
        let mut found = Vec::with_capacity(2 * self.free.len());
        for place in &self.free {
            let range = &self.space.ranges[*place];
            for direction in [1.0, -1.0] {
                let mut moved = shares.clone();
                moved[*place] += direction * range.step / (range.to - range.from);
                moved[*place] = moved[*place].clamp(0.0, 1.0);
                found.extend(self.point(&self.space.plan(&moved)));
            }
        }
        found
    }
}
