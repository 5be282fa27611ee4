'use strict'
/*
 * A process of clients that send request after request on keep-alive connections: `keep-alive-clients.cjs <url>`. Each request is sent slowly,
 * so that one is under way at any time. Sends `ready` to its parent when each client can have been answered, and the number of answers so
 * far in reply to a message.
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
  asked.on('error', () => undefined) // the server has ended
  asked.write('slow=')
  setTimeout(() => asked.end('1'), Math.random() * 10)
}

for (let client = 0; client < clients; client++) ask()
process.on('message', () => process.send(answers))
process.once('disconnect', () => process.exit())
