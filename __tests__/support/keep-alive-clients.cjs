'use strict'
/*
 * Clients that keep their connections alive and ask again and again, in a process of their own: `keep-alive-clients.cjs <url>`. Says `ready` once
 * each has been answered, and on a message how many answers ended their connection, and exits.
 */
const { Agent, get } = require('node:http')

const clients = 8
const agent = new Agent({ keepAlive: true, maxSockets: clients })
const [url] = process.argv.slice(2)
let [answers, closing] = [0, 0]

function ask() {
  get(url, { agent }, (res) => {
    if (++answers === clients) process.send('ready')
    if (res.headers.connection === 'close') closing++
    res.resume().on('end', ask)
  }).on('error', () => undefined) // nobody listens any more
}

for (let client = 0; client < clients; client++) ask()
process.once('message', () => process.send({ closing }, () => process.exit()))
