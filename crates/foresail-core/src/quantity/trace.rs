//! Traces: demand of many items over equal bins of time, and what is known of each item.
