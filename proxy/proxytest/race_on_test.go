//go:build race

package proxytest

// raceEnabled makes tests with a lot of traffic smaller under the race detector.
const raceEnabled = true
