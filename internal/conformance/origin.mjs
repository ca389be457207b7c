// The suite's origin server, as in its server/server.mjs, but without files, and on a free loopback port, which it prints in
// the first line. It exits when its standard input is closed.
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
