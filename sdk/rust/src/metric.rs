//! Figures for the gateway's metrics page. Grant: `metric`.
use crate::error::{check, Result};
use crate::raw;

/// What a metric is.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Kind {
    Counter = raw::COUNTER,
    Gauge = raw::GAUGE,
    Histogram = raw::HISTOGRAM,
}

/// A metric, named in configure.
#[derive(Clone, Copy, Debug)]
pub struct Metric(i32);

impl Metric {
    /// Names a metric: letters, digits and _.
    pub fn define(kind: Kind, name: &str) -> Result<Metric> {
        Ok(Metric(check(unsafe { raw::metric_define(kind as i32, name.as_ptr(), name.len()) })?))
    }

    /// Adds to a counter or a gauge.
    pub fn add(self, delta: i64) -> Result<()> {
        check(unsafe { raw::metric_add(self.0, delta) })?;
        Ok(())
    }

    /// Sets a gauge.
    pub fn set(self, value: i64) -> Result<()> {
        check(unsafe { raw::metric_set(self.0, value) })?;
        Ok(())
    }

    /// Puts a value into a histogram.
    pub fn observe(self, value: i64) -> Result<()> {
        check(unsafe { raw::metric_observe(self.0, value) })?;
        Ok(())
    }
}
