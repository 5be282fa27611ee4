import { connect } from 'node:net'

export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/**
 * Sends exact bytes and reads one answer. With `end` the client closes its side after the bytes, like one that breaks off. Rejects if the
 * connection closes without an answer.
 */
export function exchange(port: number, bytes: Uint8Array, { end = false } = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    const finish = (): void => {
      socket.destroy()
      const answer = parseAnswer(Buffer.concat(chunks))
      if (answer) resolve(answer)
      else reject(new Error(`no answer: ${Buffer.concat(chunks).toString('latin1')}`))
    }
    socket.on('error', reject)
    socket.on('close', finish)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (parseAnswer(Buffer.concat(chunks))) finish()
    })
    socket.write(bytes)
    if (end) socket.end()
  })
}

function parseAnswer(bytes: Buffer): RawAnswer | undefined {
  const text = bytes.toString('utf8')
  const [head = '', body] = text.split(/\r\n\r\n(.*)/s)
  const [first = '', ...lines] = head.split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1])
  if (!status || body === undefined) return undefined
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const length = Number(headers.get('content-length') ?? 0)
  return Buffer.byteLength(body) >= length ? { status, headers, body } : undefined
}
