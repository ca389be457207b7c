// Package budget measures where the processor time of a local hit, a Redis hit and a miss goes. TestBudget does each for a while under the
// CPU profiler, divides the samples among the parts of the path (parts_test.go), and prints a table for docs/performance.md:
//
//	make bench-budget
package budget
