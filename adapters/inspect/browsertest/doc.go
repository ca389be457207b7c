// Package browsertest has tests of the inspector's pages in a real Chromium: stories_test.go says what people do with the pages, and
// looks_test.go how these look, and whether everybody can use them. It is a module of its own, so that users of the pages don't get the
// driver of the browser.
package browsertest
