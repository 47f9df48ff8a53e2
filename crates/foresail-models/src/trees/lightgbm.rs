//! LightGBM's text of a model, form `v4`: read and written.
//!
//! Source: LightGBM 4.7, `GBDT::SaveModelToString`, `Tree::ToString`, `Tree::NumericalDecision`. What
//! is not read is refused by name: categorical splits, linear trees, objectives other than
//! `multiclass`. Nothing is reserved for what a file merely claims to hold.

use std::fmt::Write;
use std::str::FromStr;

use super::SoftmaxTrees;
use super::tree::{Leaf, Missing, Split, Tree};

/// The most bytes of a file.
pub const BYTES_MAX: usize = 64 << 20;

/// Features and classes of a model at most.
const WIDTH_MAX: usize = 4096;

/// A model with the names of its features.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The trees.
    pub trees: SoftmaxTrees,
    /// One name for each feature.
    pub names: Vec<String>,
}

/// Why a file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Not such a file at all.
    #[error("not a model of LightGBM as text; write one with Booster.save_model(FILE)")]
    Form,
    /// Longer than any model.
    #[error("the file has {bytes} bytes, at most {BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A form or kind of model that is not read.
    #[error("`{what}` is not read; {mend}")]
    Unread {
        /// What it says.
        what: String,
        /// What to do instead.
        mend: &'static str,
    },
    /// Something is missing or wrong.
    #[error("{place}: {why}; write the file again with Booster.save_model")]
    Broken {
        /// Where.
        place: String,
        /// What is wrong.
        why: String,
    },
}

fn broken(place: &str, why: impl Into<String>) -> TextError {
    TextError::Broken {
        place: place.to_owned(),
        why: why.into(),
    }
}

/// The lines `key=value` of a part of the file.
struct Part<'a> {
    place: String,
    text: &'a str,
}

impl<'a> Part<'a> {
    fn find(&self, key: &str) -> Option<&'a str> {
        let mut lines = self.text.lines();
        lines.find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
    }

    fn text(&self, key: &str) -> Result<&'a str, TextError> {
        let found = self.find(key);
        found.ok_or_else(|| broken(&self.place, format!("`{key}=` is missing")))
    }

    fn parsed<T: FromStr>(&self, key: &str, text: &str) -> Result<T, TextError> {
        let why = || format!("`{key}` holds `{}`, no number", cut(text));
        text.parse().map_err(|_| broken(&self.place, why()))
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T, TextError> {
        self.parsed(key, self.text(key)?.trim())
    }

    /// So many numbers.
    fn numbers<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>, TextError> {
        let words = self.text(key)?.split_ascii_whitespace();
        let found: Vec<T> = words
            .map(|word| self.parsed(key, word))
            .collect::<Result<_, _>>()?;
        if found.len() == count {
            return Ok(found);
        }
        let why = format!("`{key}` has {} numbers, {count} are due", found.len());
        Err(broken(&self.place, why))
    }
}

/// The begin of a text that may be long.
fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Reads a model.
///
/// # Errors
/// [`TextError`] with the place where a file is damaged, too large, or holds what is not read.
pub fn read(bytes: &[u8]) -> Result<Named, TextError> {
    if bytes.len() > BYTES_MAX {
        return Err(TextError::TooLarge { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::Form)?;
    if text.lines().next().map(str::trim) != Some("tree") {
        return Err(TextError::Form);
    }
    // The file may have come through a system that ends lines in its own way.
    let text = text.replace("\r\n", "\n");
    let (body, _) = text
        .split_once("\nend of trees")
        .ok_or_else(|| broken("the file", "`end of trees` is missing: it was cut off"))?;
    let mut parts = body.split("\nTree=");
    let head = Part {
        place: "the head".to_owned(),
        text: parts.next().unwrap_or(""),
    };
    let (features, classes) = width(&head)?;
    let names: Vec<String> = head
        .text("feature_names")?
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    if names.len() != features {
        let why = format!("{} names for {features} features", names.len());
        return Err(broken(&head.place, why));
    }
    let trees = parts
        .enumerate()
        .map(|(place, text)| tree(place, text, features))
        .collect::<Result<Vec<Tree>, _>>()?;
    if trees.is_empty() {
        return Err(broken("the file", "it has no trees"));
    }
    let trees = SoftmaxTrees::new(features, classes, trees);
    let trees = trees.map_err(|why| broken("the file", why))?;
    Ok(Named { trees, names })
}

/// Features and classes, where the model is one that is read.
fn width(head: &Part<'_>) -> Result<(usize, usize), TextError> {
    let unread = |what: &str, mend| TextError::Unread {
        what: cut(what),
        mend,
    };
    let version = head.text("version")?;
    if version != "v4" {
        let mend = "LightGBM 4 writes v4: load the model there and save it again";
        return Err(unread(&format!("version={version}"), mend));
    }
    let objective = head.text("objective")?;
    if objective.split_ascii_whitespace().next() != Some("multiclass") {
        let mend = "train with objective=multiclass";
        return Err(unread(&format!("objective={objective}"), mend));
    }
    if head.text.lines().any(|l| l.trim() == "average_output") {
        return Err(unread("average_output", "train with boosting=gbdt, not rf"));
    }
    let last: usize = head.number("max_feature_idx")?;
    let classes: usize = head.number("num_class")?;
    let per_round: usize = head.number("num_tree_per_iteration")?;
    if last >= WIDTH_MAX || !(2..=WIDTH_MAX).contains(&classes) {
        let why = format!("{last} features and {classes} classes, 1 to {WIDTH_MAX} are read");
        return Err(broken(&head.place, why));
    }
    if per_round != classes {
        let why = format!("{per_round} trees a round for {classes} classes");
        return Err(broken(&head.place, why));
    }
    Ok((last + 1, classes))
}

/// One tree; `text` begins with its number.
fn tree(place: usize, text: &str, features: usize) -> Result<Tree, TextError> {
    let part = Part {
        place: format!("tree {place}"),
        text,
    };
    let refuse = |what: &str, mend| {
        Err(TextError::Unread {
            what: format!("tree {place}: {what}"),
            mend,
        })
    };
    if part.find("is_linear").is_some_and(|v| v.trim() != "0") {
        return refuse("is_linear=1", "train with linear_tree=false");
    }
    if part.find("num_cat").is_some_and(|v| v.trim() != "0") {
        return refuse("num_cat", "train without categorical features");
    }
    let leaves: usize = part.number("num_leaves")?;
    let values: Vec<f64> = part.numbers("leaf_value", leaves)?;
    if leaves == 0 {
        return Err(broken(&part.place, "it has no leaf"));
    }
    if leaves == 1 {
        return Tree::new(Vec::new(), vec![leaf(values[0], 0, 0.0)])
            .map_err(|why| broken(&part.place, why));
    }
    let splits = leaves - 1;
    let feature: Vec<u16> = part.numbers("split_feature", splits)?;
    if let Some(feature) = feature.iter().find(|f| usize::from(**f) >= features) {
        let why = format!("it splits feature {feature} of {features}");
        return Err(broken(&part.place, why));
    }
    let threshold: Vec<f64> = part.numbers("threshold", splits)?;
    let decision: Vec<u8> = part.numbers("decision_type", splits)?;
    let left: Vec<i32> = part.numbers("left_child", splits)?;
    let right: Vec<i32> = part.numbers("right_child", splits)?;
    let gain: Vec<f64> = part.numbers("split_gain", splits)?;
    let counts: Vec<u32> = part.numbers("internal_count", splits)?;
    let leaf_counts: Vec<u32> = part.numbers("leaf_count", leaves)?;
    let weights: Vec<f64> = part.numbers("leaf_weight", leaves)?;
    let split = |i: usize| {
        let (missing, missing_left) =
            decided(decision[i]).map_err(|why| broken(&part.place, format!("split {i}: {why}")))?;
        Ok(Split {
            feature: feature[i],
            missing,
            missing_left,
            threshold: threshold[i],
            left: left[i],
            right: right[i],
            gain: gain[i],
            count: counts[i],
        })
    };
    let all = (0..splits)
        .map(split)
        .collect::<Result<Vec<_>, TextError>>()?;
    let leaves = (0..leaves).map(|i| leaf(values[i], leaf_counts[i], weights[i]));
    Tree::new(all, leaves.collect()).map_err(|why| broken(&part.place, why))
}

fn leaf(value: f64, count: u32, weight: f64) -> Leaf {
    Leaf {
        value,
        count,
        weight,
    }
}

/// What the bits of a decision say: 1 categorical, 2 default left, 4 and 8 the kind of missing.
fn decided(bits: u8) -> Result<(Missing, bool), &'static str> {
    let missing = match bits >> 2 {
        _ if bits & 1 != 0 => return Err("it is categorical, which is not read"),
        0 => Missing::Never,
        1 => Missing::Zero,
        2 => Missing::Nan,
        _ => return Err("its decision_type is unknown"),
    };
    Ok((missing, bits & 2 != 0))
}

/// Writes a model, so that LightGBM reads it and tells the same.
///
/// Shapes: `names` has one name for each feature, without blanks. The span of a feature is that of its
/// thresholds: the rows of training are not kept.
#[must_use]
pub fn write(trees: &SoftmaxTrees, names: &[String]) -> String {
    let (features, classes) = (trees.features(), trees.classes());
    let blocks = trees.trees().iter().enumerate();
    let blocks: Vec<String> = blocks.map(|(i, t)| block(i, t)).collect();
    let sizes: Vec<String> = blocks.iter().map(|b| b.len().to_string()).collect();
    let spans: Vec<String> = (0..features).map(|f| span(trees, f)).collect();
    let mut text = format!(
        "tree\nversion=v4\nnum_class={classes}\nnum_tree_per_iteration={classes}\nlabel_index=0\n\
         max_feature_idx={}\nobjective=multiclass num_class:{classes}\nfeature_names={}\n\
         feature_infos={}\ntree_sizes={}\n\n",
        features.saturating_sub(1),
        names.join(" "),
        spans.join(" "),
        sizes.join(" ")
    );
    blocks.iter().for_each(|block| text.push_str(block));
    text.push_str("end of trees\n\nfeature_importances:\n");
    let mut splits = vec![0_usize; features];
    for split in trees.trees().iter().flat_map(Tree::splits) {
        splits[usize::from(split.feature)] += 1;
    }
    let mut order: Vec<usize> = (0..features).filter(|f| splits[*f] > 0).collect();
    order.sort_by_key(|f| std::cmp::Reverse(splits[*f]));
    for feature in order {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{}={}", names[feature], splits[feature]);
    }
    text.push_str("\nparameters:\nend of parameters\n\npandas_categorical:null\n");
    text
}

/// The span of a feature's thresholds; `none` where nothing splits it.
fn span(trees: &SoftmaxTrees, feature: usize) -> String {
    let splits = trees.trees().iter().flat_map(Tree::splits);
    let own = splits.filter(|s| usize::from(s.feature) == feature);
    let mut thresholds: Vec<f64> = own.map(|s| s.threshold).collect();
    thresholds.sort_by(f64::total_cmp);
    match (thresholds.first(), thresholds.last()) {
        (Some(least), Some(most)) => format!("[{least:?}:{most:?}]"),
        _ => "none".to_owned(),
    }
}

fn words<T: ToString>(values: impl Iterator<Item = T>) -> String {
    values.map(|v| v.to_string()).collect::<Vec<_>>().join(" ")
}

/// Numbers so that they are read back as they were.
fn exact(values: impl Iterator<Item = f64>) -> String {
    words(values.map(|v| format!("{v:?}")))
}

/// One tree as a block of lines; its value and weight at a split are those of its leaves together.
fn block(place: usize, tree: &Tree) -> String {
    let (splits, leaves) = (tree.splits(), tree.leaves());
    let bits = |s: &Split| {
        let missing = match s.missing {
            Missing::Never => 0,
            Missing::Zero => 4,
            Missing::Nan => 8,
        };
        missing + 2 * u8::from(s.missing_left)
    };
    let inner = inner(tree);
    let mut text = format!("Tree={place}\nnum_leaves={}\nnum_cat=0\n", leaves.len());
    let mut line = |key: &str, words: String| {
        let _ = writeln!(text, "{key}={words}");
    };
    line("split_feature", words(splits.iter().map(|s| s.feature)));
    line("split_gain", exact(splits.iter().map(|s| s.gain)));
    line("threshold", exact(splits.iter().map(|s| s.threshold)));
    line("decision_type", words(splits.iter().map(bits)));
    line("left_child", words(splits.iter().map(|s| s.left)));
    line("right_child", words(splits.iter().map(|s| s.right)));
    line("leaf_value", exact(leaves.iter().map(|l| l.value)));
    line("leaf_weight", exact(leaves.iter().map(|l| l.weight)));
    line("leaf_count", words(leaves.iter().map(|l| l.count)));
    line("internal_value", exact(inner.iter().map(|i| i.0)));
    line("internal_weight", exact(inner.iter().map(|i| i.1)));
    line("internal_count", words(splits.iter().map(|s| s.count)));
    text.push_str("is_linear=0\nshrinkage=1\n\n\n");
    text
}

/// Mean value and sum of weights of the leaves below each split.
fn inner(tree: &Tree) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); tree.splits().len()];
    for (place, split) in tree.splits().iter().enumerate().rev() {
        let mut sum = (0.0, 0.0);
        for child in [split.left, split.right] {
            let (value, weight) = match usize::try_from(child) {
                Ok(next) => sums[next],
                Err(_) => {
                    let leaf = tree.leaves()[!child as usize];
                    (leaf.value * leaf.weight, leaf.weight)
                }
            };
            sum = (sum.0 + value, sum.1 + weight);
        }
        sums[place] = sum;
    }
    let mean = |(value, weight): (f64, f64)| match weight > 0.0 {
        true => (value / weight, weight),
        false => (0.0, weight),
    };
    sums.into_iter().map(mean).collect()
}
