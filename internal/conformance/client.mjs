// node client.mjs BASE [ID...]: runs the suite's tests against the proxy at BASE, all or those of the IDs, which name tests
// or groups, with the tests these depend on. Prints one JSON document: the tests, and what came of those that ran.
import process from 'node:process'

import fetch from 'node-fetch'
import { runTests, getResults } from 'http-cache-tests/client/runner.mjs'
import suite from 'http-cache-tests/tests/index.mjs'

const [base, ...ids] = process.argv.slice(2)
const chunk = 100 // tests at a time: the suite's own number
const patience = 20_000 // ms for one answer, else a test that hangs would hold up all

console.log = console.error // the suite's warnings; standard output is for the document

const groups = suite.map(group => ({ ...group, tests: group.tests.filter(test => test.browser_only !== true) }))
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
// The tests are changed by being run.
const document = {
  groups: groups.map(({ id, name, tests }) => ({
    id, name, tests: tests.map(({ id, name, kind, depends_on }) => ({ id, name, kind, depends_on }))
  }))
}
await runTests(toRun, (url, init) => fetch(url, { ...init, timeout: patience }), false, base, chunk)
process.stdout.write(JSON.stringify({ ...document, results: getResults() }))
