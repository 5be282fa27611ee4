/* A proxy between an app and its database that drops data silently, delays data and closes connections. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export async function startProxy(url) {
  const target = new URL(url)
  const links = new Set()
  let delayMs = 0
  let isSwallowing = false

  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    const link = { near, far, isSwallowed: isSwallowing }
    links.add(link)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      let last = Promise.resolve()
      const later = (act) => {
        const ms = delayMs
        last = last.then(async () => {
          if (ms > 0) await wait(ms)
          if (!link.isSwallowed) act()
        })
      }
      from.on('data', (chunk) => later(() => to.write(chunk)))
      from.on('end', () => later(() => to.end()))
      from.on('error', () => undefined)
      from.on('close', () => later(() => to.destroy()))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxied = new URL(url)
  proxied.port = String(server.address().port)

  return {
    url: proxied.href,
    /** Silently drops all data of the open connections, also that they are closed, in both directions. */
    swallow() {
      for (const link of links) link.isSwallowed = true
    },
    /** Sets whether new connections are swallowed too. */
    swallowNew(isOn) {
      isSwallowing = isOn
    },
    /** Sets the delay of all data, in each direction. */
    delay(ms) {
      delayMs = ms
    },
    /** Closes all open connections; both ends notice. */
    cut() {
      for (const { near, far } of links) {
        near.destroy()
        far.destroy()
      }
      links.clear()
    },
    async close() {
      this.cut()
      server.close()
      await once(server, 'close')
    },
  }
}
