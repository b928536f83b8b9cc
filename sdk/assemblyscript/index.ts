// So that plugins import "postern".
export * from "./assembly/index";
