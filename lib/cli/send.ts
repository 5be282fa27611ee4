import { randomInt } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import { assignments, wholeNumber } from './arguments.js'
import { brokenKinds, sendBroken } from './broken.js'
import { withClient, type Answer, type HttpClient } from './client.js'
import { callbacksOf, type Callbacks, type Params, type Plan } from './dummy.js'
import { failure, figure, painter, print, printJson, usage, type Io } from './io.js'
import { Tally } from './tally.js'
import { targetCommand, type TargetOptions } from './target.js'

/** A run of at most this many callbacks prints a line for each answer. */
const maxLines = 20

interface SendOptions extends TargetOptions, Omit<Plan, 'conversions' | 'seed'> {
  readonly burst: number
  readonly rate?: number
  readonly parallel: number
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly format?: 'form' | 'json'
  readonly broken?: string | true
  readonly seed?: number
  readonly json?: true
}

export function sendCommand(io: Io): Command {
  return targetCommand('send', 'the URL of the webhook, with its secret')
    .summary('send dummy callbacks')
    .description(
      'Sends callbacks of invented conversions. The deliveries are real: handlers run. Exits with 1 when a callback is not answered with 200, or a broken request gets an unexpected answer.',
    )
    .addOption(
      new Option('--status <status>', 'the status of the conversions')
        .choices(['success', 'fail', 'pending', 'mixed'])
        .default('success'),
    )
    .option('--goal <n>', "a referrer's n-th conversion completes the goal; 0: none", wholeNumber(0, 1_000), 0)
    .option('--burst <n>', 'how many conversions, at most 1,000,000', wholeNumber(1, 1_000_000), 1)
    .option('--repeat <n>', 'how often each callback is sent, at most 10', wholeNumber(1, 10), 1)
    .option('--out-of-order', 'report each conversion as pending too, and shuffle everything')
    .option('--rate <n>', 'callbacks a second (default: as fast as they are answered)', wholeNumber(1, 100_000))
    .option('--parallel <n>', 'requests at a time, at most 256', wholeNumber(1, 256), 16)
    .addOption(new Option('--method <method>', 'the HTTP method').choices(['GET', 'POST', 'PUT']).default('GET'))
    .addOption(new Option('--format <format>', 'the body of POST and PUT').choices(['form', 'json']))
    .option('--set <name=value>', 'set a parameter; can be repeated', assignments)
    .addOption(
      new Option('--broken [kind]', 'send broken requests instead: one of every kind, or of one').choices(brokenKinds),
    )
    .option('--seed <n>', 'repeat the callbacks of the run that printed this seed', wholeNumber(0, 999_999_999))
    .option('--json', 'print JSON: sent, answers, latencyMs, seed')
    .action((url: URL, options: SendOptions) => {
      if (options.format !== undefined && options.method === 'GET') throw usage('a GET has no body: add --method POST')
      const { broken, burst, seed = randomInt(1_000_000_000) } = options
      const callbacks = callbacksOf({ ...options, seed, conversions: broken === undefined ? burst : 1 })
      return withClient(url, options, (client) => {
        if (broken === undefined) return sendAll(io, client, callbacks, { ...options, seed })
        return sendBroken(io, client, callbacks.at(0), broken === true ? brokenKinds : [broken], options)
      })
    })
}

async function sendAll(io: Io, client: HttpClient, callbacks: Callbacks, options: SendOptions & { seed: number }) {
  const { json, seed, parallel, rate, burst } = options
  const tally = new Tally()
  const progress = progressBar(io, callbacks.count)
  const isShort = callbacks.count <= maxLines
  const details: object[] = []
  const startedAt = performance.now()

  async function sendOne(params: Params): Promise<void> {
    const result = await report(client, params, options)
    tally.add(result)
    if (!isShort) {
      if (!json) progress.show(tally.sent)
    } else if (json) details.push({ params, answer: result.label, ms: Math.round(result.ms) })
    else print(io.out, lineOf(io, params, result))
  }

  await forEach(callbacks, isShort ? 1 : parallel, rate, io.interrupted, sendOne)
  progress.clear()
  const seconds = (performance.now() - startedAt) / 1_000
  if (json) {
    printJson(io.out, {
      sent: tally.sent,
      conversions: burst,
      seconds: Math.round(seconds * 100) / 100,
      answers: tally.answers,
      latencyMs: tally.latency(),
      seed,
      ...(isShort && { callbacks: details }),
    })
  } else if (!isShort) {
    const run = `${figure(tally.sent)} callbacks of ${figure(burst)} conversions in ${figure(seconds, 1)} s`
    const again = `  to repeat this run: --seed ${String(seed)}`
    print(io.out, `${run}, ${figure(tally.sent / seconds)} a second`, ...tally.lines(), again)
  }
  if (io.interrupted.aborted || tally.failed > 0) throw failure()
}

/** Calls `run` for each callback, at most `parallel` at a time and `rate` a second. */
async function forEach(
  { count, at }: Callbacks,
  parallel: number,
  rate: number | undefined,
  stop: AbortSignal,
  run: (params: Params) => Promise<void>,
): Promise<void> {
  setMaxListeners(0, stop) // at eleven listeners Node 20 warns of a leak
  const startedAt = performance.now()
  let next = 0
  const isWanted = (): boolean => next < count && !stop.aborted
  async function work(): Promise<void> {
    while (isWanted()) {
      const place = next++
      const waitMs = rate === undefined ? 0 : startedAt + (place * 1_000) / rate - performance.now()
      if (waitMs > 0) await setTimeout(waitMs, undefined, { signal: stop }).catch(() => undefined)
      if (stop.aborted) return
      await run(at(place))
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, work))
}

function report(client: HttpClient, params: Params, { method, format }: SendOptions): Promise<Answer> {
  const form = new URLSearchParams(params).toString()
  if (method === 'GET') return client.ask(form)
  const [type, body] =
    format === 'json' ? ['application/json', JSON.stringify(params)] : ['application/x-www-form-urlencoded', form]
  return client.ask('', { method, headers: { 'Content-Type': type }, body })
}

function lineOf(io: Io, params: Params, { status, label, ms }: Answer): string {
  const paint = painter(io.out, io.env)
  const { conversion = '', orderID = '', goal_complete } = params
  const goal = goal_complete === '1' ? ' with goal' : ''
  const answer = paint(status === 200 ? 'green' : 'red', label.padEnd(14))
  return `${answer}  ${conversion.padEnd(7)}  ${orderID}${goal}  ${figure(ms)} ms`
}

const barWidth = 30
const barEveryMs = 100

/** A progress bar on one line of a terminal. Prints nothing elsewhere. */
function progressBar({ err, env }: Io, total: number) {
  const paint = painter(err, env)
  let shownAt = 0
  return {
    show(count: number): void {
      const now = performance.now()
      if (err.isTTY !== true || now - shownAt < barEveryMs) return
      shownAt = now
      const filled = Math.round((count / total) * barWidth)
      const bar = paint('cyan', '█'.repeat(filled)) + '░'.repeat(barWidth - filled)
      err.write(`\r${bar} ${figure(count)} of ${figure(total)}\x1b[K`)
    },
    clear(): void {
      if (shownAt > 0) err.write('\r\x1b[K')
    },
  }
}
