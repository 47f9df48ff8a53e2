//! Microsoft's cloud monitoring series: a value and an anomaly label per minute or hour.
//!
//! Source: microsoft/cloud-monitoring-dataset (`TimeStamp,Value,Label`), or its files joined with a
//! `series` column. Thirteen hours of the crash rates stand twice while as many lack; the mean of a
//! step counts, and it is told. The label is not read: it is a judgement and no demand.

use super::{Begin, Items, ReadOptions, Source, TraceError, TraceFormat, Uneven, csv_long};

/// The format.
#[derive(Debug)]
pub struct Mscloud;

impl TraceFormat for Mscloud {
    fn name(&self) -> &'static str {
        "mscloud"
    }

    fn summary(&self) -> &'static str {
        "Microsoft cloud monitoring: timestamp,value,label, and perhaps series first; several points of a step give their mean"
    }

    fn matches(&self, begin: &Begin) -> bool {
        let labels = begin.labels();
        let columns = ["timestamp", "value", "label"];
        labels == columns || (labels.len() == 4 && labels[0] == "series" && labels[1..] == columns)
    }

    fn read(&self, source: Source, options: &ReadOptions) -> Result<Box<dyn Items>, TraceError> {
        csv_long::items(source, options, Uneven::Mean, &["label"])
    }
}
