// Package archtest holds no program: its tests read the source of all the
// others and check the rules of the house. Each failure names a place and says
// what to do. The rules that have exceptions keep them in house_test.go, each
// with its reason.
package archtest
