//! The normal equations of a fit in one pass, without ever writing the columns of the changepoints.
//!
//! A row is `v = [ω·t, ω, ω·(t − s_1)₊ …, z_1 …]`. Between two changepoints the bent columns are
//! straight, so that sums of `ω²·{1, t, t²}`, `ω·z·{1, t}` and `ω·r·{1, t}` over each piece give
//! every product with them: 160 multiplications a row instead of 860 with 25 changepoints and 14
//! other columns.

/// `G = Σ v·vᵀ`, `b = Σ v·r` and `Σ r²`.
#[derive(Clone, Debug)]
pub(super) struct Gram {
    pub(super) size: usize,
    /// Row by row, the whole square.
    pub(super) g: Vec<f64>,
    pub(super) b: Vec<f64>,
    pub(super) rr: f64,
}

/// What the pass runs over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// Scaled times, rising.
    pub(super) t: &'a [f64],
    /// The changepoints.
    pub(super) bends: &'a [f64],
    /// First row of each piece, and the number of rows.
    pub(super) pieces: &'a [usize],
    /// Other columns, row by row.
    pub(super) x: &'a [f64],
    /// Their number.
    pub(super) columns: usize,
}

/// Sums over one piece and then over it and all after it.
#[derive(Clone, Debug)]
struct Sums {
    /// ω²·{1, t, t²} and ω·r·{1, t}.
    plain: [f64; 5],
    /// ω·z·{1, t}, column by column.
    crossed: Vec<[f64; 2]>,
}

/// One pass over all rows; `row(i, x)` gives ω and r of row i and turns its `x` into z.
pub(super) fn gram(rows: Rows<'_>, mut row: impl FnMut(usize, &mut [f64]) -> (f64, f64)) -> Gram {
    let k = rows.columns;
    let mut inner = Inner {
        zz: vec![0.0; k * k],
        zr: vec![0.0; k],
        rr: 0.0,
    };
    let mut z = vec![0.0; k];
    let mut pieces: Vec<Sums> = Vec::with_capacity(rows.bends.len() + 1);
    for piece in rows.pieces.windows(2) {
        let mut sums = Sums {
            plain: [0.0; 5],
            crossed: vec![[0.0; 2]; k],
        };
        for i in piece[0]..piece[1] {
            z.copy_from_slice(&rows.x[i * k..(i + 1) * k]);
            let (weight, r) = row(i, &mut z);
            sums.add(rows.t[i], weight, r, &z);
            inner.add(r, &z);
        }
        pieces.push(sums);
    }
    // From sums of pieces to sums of a piece and all after it.
    for q in (1..pieces.len()).rev() {
        let (before, after) = pieces.split_at_mut(q);
        before[q - 1].absorb(&after[0]);
    }
    assemble(rows.bends, &pieces, &inner)
}

/// Sums of the other columns among themselves.
struct Inner {
    zz: Vec<f64>,
    zr: Vec<f64>,
    rr: f64,
}

impl Inner {
    fn add(&mut self, r: f64, z: &[f64]) {
        self.rr += r * r;
        let k = z.len();
        for (a, za) in z.iter().enumerate() {
            self.zr[a] += za * r;
            let line = &mut self.zz[a * k..a * k + k];
            for (sum, zc) in line.iter_mut().zip(z) {
                *sum += za * zc;
            }
        }
    }
}

impl Sums {
    fn add(&mut self, t: f64, weight: f64, r: f64, z: &[f64]) {
        let square = weight * weight;
        let [s0, s1, s2, r0, r1] = &mut self.plain;
        *s0 += square;
        *s1 += square * t;
        *s2 += square * t * t;
        *r0 += weight * r;
        *r1 += weight * r * t;
        for ([c0, c1], z) in self.crossed.iter_mut().zip(z) {
            *c0 += weight * z;
            *c1 += weight * z * t;
        }
    }

    fn absorb(&mut self, after: &Self) {
        for (sum, more) in self.plain.iter_mut().zip(after.plain) {
            *sum += more;
        }
        for (sum, more) in self.crossed.iter_mut().zip(&after.crossed) {
            sum[0] += more[0];
            sum[1] += more[1];
        }
    }
}

/// One of the first columns as `slope·(ω·t) + level·ω` from piece `from` on.
#[derive(Clone, Copy)]
struct Straight {
    slope: f64,
    level: f64,
    from: usize,
}

fn assemble(bends: &[f64], pieces: &[Sums], inner: &Inner) -> Gram {
    let straight = |slope, level, from| Straight { slope, level, from };
    let mut first = vec![straight(1.0, 0.0, 0), straight(0.0, 1.0, 0)];
    let bent = bends.iter().enumerate();
    first.extend(bent.map(|(j, s)| straight(1.0, -s, j + 1)));
    let (p, k) = (first.len(), inner.zr.len());
    let size = p + k;
    let mut gram = Gram {
        size,
        g: vec![0.0; size * size],
        b: vec![0.0; size],
        rr: inner.rr,
    };
    for (a, one) in first.iter().enumerate() {
        for (c, two) in first.iter().enumerate().take(a + 1) {
            let [s0, s1, s2, ..] = pieces[one.from.max(two.from)].plain;
            let crossed = one.slope * two.level + two.slope * one.level;
            let value = one.slope * two.slope * s2 + crossed * s1 + one.level * two.level * s0;
            gram.set(a, c, value);
        }
        let sums = &pieces[one.from];
        gram.b[a] = one.slope * sums.plain[4] + one.level * sums.plain[3];
        for (c, [c0, c1]) in sums.crossed.iter().enumerate() {
            gram.set(a, p + c, one.slope * c1 + one.level * c0);
        }
    }
    for a in 0..k {
        gram.b[p + a] = inner.zr[a];
        for c in 0..k {
            gram.g[(p + a) * size + p + c] = inner.zz[a * k + c];
        }
    }
    gram
}

impl Gram {
    fn set(&mut self, a: usize, c: usize, value: f64) {
        self.g[a * self.size + c] = value;
        self.g[c * self.size + a] = value;
    }

    /// Row `a` of G.
    pub(super) fn row(&self, a: usize) -> &[f64] {
        &self.g[a * self.size..(a + 1) * self.size]
    }

    /// `G·θ`.
    pub(super) fn times(&self, theta: &[f64]) -> Vec<f64> {
        (0..self.size).map(|a| dot(self.row(a), theta)).collect()
    }

    /// `Σ (r − v·θ)²`.
    pub(super) fn squares(&self, theta: &[f64]) -> f64 {
        self.rr - 2.0 * dot(&self.b, theta) + dot(theta, &self.times(theta))
    }

    /// From the columns `[ω·t, ω]` to those of a logistic trend's rate and offset,
    /// `[ω·(t − m), −k·ω]`.
    pub(super) fn logistic(&mut self, k: f64, m: f64) {
        let size = self.size;
        let turn = |[t, one]: [f64; 2]| [t - m * one, -k * one];
        for a in 0..size {
            let turned = turn([self.g[a * size], self.g[a * size + 1]]);
            self.g[a * size..a * size + 2].copy_from_slice(&turned);
        }
        for c in 0..size {
            let [first, second] = turn([self.g[c], self.g[size + c]]);
            self.g[c] = first;
            self.g[size + c] = second;
        }
        let turned = turn([self.b[0], self.b[1]]);
        self.b[..2].copy_from_slice(&turned);
    }

    /// Takes a column out: its coefficient stays where the prior has it.
    pub(super) fn silence(&mut self, a: usize) {
        for c in 0..self.size {
            self.set(a, c, 0.0);
        }
        self.b[a] = 0.0;
    }
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_pieces_equal_those_over_written_columns() {
        let n = 50;
        let t: Vec<f64> = (0..n).map(|i| f64::from(i) / 49.0).collect();
        let bends = [t[10], t[11], t[30]];
        let x: Vec<f64> = (0..2 * n)
            .map(|i| f64::from(i * 7919 % 101) / 50.0)
            .collect();
        let weight = |i: usize| 0.5 + t[i] * t[i];
        let residual = |i: usize| (i as f64).sin();
        let pieces = [0, 10, 11, 30, 50];
        let rows = Rows {
            t: &t,
            bends: &bends,
            pieces: &pieces,
            x: &x,
            columns: 2,
        };
        let gram = gram(rows, |i, z| {
            z[1] *= t[i];
            (weight(i), residual(i))
        });
        let written = |i: usize| {
            let w = weight(i);
            let mut row = vec![w * t[i], w];
            let bent = |s: &f64| if t[i] > *s { w * (t[i] - s) } else { 0.0 };
            row.extend(bends.iter().map(bent));
            row.extend([x[2 * i], x[2 * i + 1] * t[i]]);
            row
        };
        for a in 0..7 {
            for c in 0..7 {
                let sum: f64 = (0..50).map(|i| written(i)[a] * written(i)[c]).sum();
                assert!((gram.row(a)[c] - sum).abs() < 1e-10, "{a} {c}");
            }
            let sum: f64 = (0..50).map(|i| written(i)[a] * residual(i)).sum();
            assert!((gram.b[a] - sum).abs() < 1e-10, "{a}");
        }
    }
}
