// The drawing of points, a file of its own (points.js), which only runs with clouds load. It is there
// as the global `fedchainPoints` when page.js starts, since its script stands before.
export {};
