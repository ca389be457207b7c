// node client.mjs BASE KIND [ID...]: runs the suite's tests against the cache at BASE. KIND is shared or private. IDs of tests or groups select them, together
// with the tests they depend on. It prints one JSON document: the tests, and the results of those that ran.
import process from 'node:process'

import fetch from 'node-fetch'
import { runTests, getResults } from 'http-cache-tests/client/runner.mjs'
import suite from 'http-cache-tests/tests/index.mjs'

const [base, kind, ...ids] = process.argv.slice(2)
const chunk = 100 // concurrent tests: the suite's own number
const patience = 20_000 // ms for one response: a test that hangs must not delay all

console.log = console.error // for the suite's warnings: standard output has only the document

// The suite has flags for browsers: some of its tests are only for private caches, others not for them. Tests of conditional requests
// are not for browsers either, for their scripts can't send any, but any other client can.
function applies (test) {
  if (kind === 'shared') return test.browser_only !== true
  return test.browser_skip !== true || test.id.startsWith('conditional-')
}
const groups = suite.map(group => ({
  ...group, tests: group.tests.filter(applies).map(test => ({ ...test, browser_only: false, browser_skip: false }))
}))
const byID = new Map(groups.flatMap(group => group.tests.map(test => [test.id, test])))

const chosen = new Set()
function choose (id) {
  if (chosen.has(id) || !byID.has(id)) return
  chosen.add(id)
  for (const dependency of byID.get(id).depends_on ?? []) choose(dependency)
}
for (const id of ids.length > 0 ? ids : groups.map(group => group.id)) {
  const group = groups.find(group => group.id === id)
  if (group === undefined && !byID.has(id)) {
    console.error(`no test and no group is called ${id}`)
    process.exit(2)
  }
  choose(id)
  for (const test of group?.tests ?? []) choose(test.id)
}

const toRun = groups.map(group => ({ ...group, tests: group.tests.filter(test => chosen.has(test.id)) }))
// Running the tests changes them.
const document = {
  groups: groups.map(({ id, name, tests }) => ({
    id, name, tests: tests.map(({ id, name, kind, depends_on }) => ({ id, name, kind, depends_on }))
  }))
}
await runTests(toRun, (url, init) => fetch(url, { ...init, timeout: patience }), false, base, chunk)
process.stdout.write(JSON.stringify({ ...document, results: getResults() }))
