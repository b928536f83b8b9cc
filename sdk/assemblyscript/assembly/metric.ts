// Figures for the gateway's metrics page. Grant: metric.
import * as raw from "./raw";
import { one } from "./room";

export enum Kind {
  Counter = 1,
  Gauge,
  Histogram,
}

export class Metric {
  constructor(private number: i32) {}

  add(delta: i64): i32 { return raw.metric_add(this.number, delta); }
  set(value: i64): i32 { return raw.metric_set(this.number, value); }
  observe(value: i64): i32 { return raw.metric_observe(this.number, value); }
}

// Names a metric, in postern_configure: letters, digits and _.
export function define(kind: Kind, name: string): Metric {
  const n = one.put(name);
  return new Metric(raw.metric_define(kind, one.at, n));
}
