//! What became of a published figure.

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Our re-run of the published method gives it.
    Reproduced,
    /// It does not.
    NotReproduced,
    /// The study's own figures say otherwise.
    Contradicted,
    /// The trace is another one, so that nothing can be said.
    OtherTrace,
}

impl Verdict {
    /// As a reader sees it.
    #[must_use]
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::Contradicted => "contradicted by its own data",
            Self::OtherTrace => "another trace: no verdict",
        }
    }

    /// Reproduced where it holds.
    #[must_use]
    pub(crate) const fn holds(holds: bool) -> Self {
        if holds {
            Self::Reproduced
        } else {
            Self::NotReproduced
        }
    }

    /// Reproduced where both changes go the same way.
    #[must_use]
    pub(crate) fn same_direction(published: f64, ours: f64) -> Self {
        Self::holds(published * ours > 0.0)
    }
}
