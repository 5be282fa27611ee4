/* A network between an app and its database that swallows, delays and cuts. */
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
    /** Everything that is connected hears nothing any more, and is not told; neither does the other end hear that it is closed. */
    swallow() {
      for (const link of links) link.isSwallowed = true
    },
    /** Whether the connections to come are swallowed, too. */
    swallowNew(isOn) {
      isSwallowing = isOn
    },
    /** How long everything takes from now on, each way. */
    delay(ms) {
      delayMs = ms
    },
    /** Everything that is connected is cut off, and both ends are told. */
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
