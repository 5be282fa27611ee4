'use strict'
/*
 * Clients that keep their connections alive and ask again and again, in a process of their own: `keep-alive-clients.cjs <url>`. They are slow,
 * so that there is a request under way at any time. Says `ready` once each could have been answered, and on a message how many answers there
 * were so far.
 */
const { Agent, request } = require('node:http')

const clients = 8
const agent = new Agent({ keepAlive: true, maxSockets: clients })
const [url] = process.argv.slice(2)
let answers = 0

function ask() {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const asked = request(url, { agent, method: 'POST', headers }, (res) => {
    if (++answers === clients) process.send('ready')
    res.resume().on('end', ask)
  })
  asked.on('error', () => undefined) // nobody listens any more
  asked.write('slow=')
  setTimeout(() => asked.end('1'), Math.random() * 10)
}

for (let client = 0; client < clients; client++) ask()
process.on('message', () => process.send(answers))
process.once('disconnect', () => process.exit())
