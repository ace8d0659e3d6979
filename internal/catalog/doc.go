// Package catalog holds noren.yaml: the environments, teams and services of a
// house, typed and validated, with errors that point into the file.
//
// [Parse] reads in four steps and touches nothing but the bytes it is given:
//
//	bytes ──▶ tokens ──▶ tree ──▶ typed values ──▶ checks across them
//	          bounded    aliases   each key read    teams, environments,
//	          in size    resolved  by its reader    doubled entrances
//
// Only a file that is not YAML stops at the first error. From the tree on,
// every error is collected, so that a person corrects the file once. Each is a
// fault.Fault with the code Invalid and a position.
//
// The package knows no driver. Which names exist is an argument ([Known]), and
// what a driver's section holds stays JSON ([Section]) until the driver
// decodes it; [Section.Fault] then finds the place of its error in the file.
package catalog
