// The suite's origin server, as its server/server.mjs has it, but on a free loopback port, which the first line of output
// tells, and without files. It ends with its standard input.
import http from 'node:http'
import process from 'node:process'

import handleConfig from 'http-cache-tests/server/handle-config.mjs'
import handleState from 'http-cache-tests/server/handle-state.mjs'
import handleTest from 'http-cache-tests/server/handle-test.mjs'

const handlers = { config: handleConfig, state: handleState, test: handleTest }

const server = http.createServer((request, response) => {
  const [dispatch, ...rest] = new URL(request.url, 'http://localhost').pathname.split('/').slice(1)
  const handle = handlers[dispatch]
  if (handle === undefined) {
    response.writeHead(404).end()
    return
  }
  handle(rest, request, response)
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))

process.stdin.on('end', () => process.exit()).resume()
