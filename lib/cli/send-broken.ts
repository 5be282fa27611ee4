import { brokenRequest, type BrokenKind } from './broken.js'
import { isAnswer, type HttpClient } from './client.js'
import { credentialOf } from './credential.js'
import type { Params } from './dummy.js'
import { Exit, exitCodes, painter, printJson, printLine, type Io } from './io.js'
import { labelOf } from './tally.js'
import { queryOf, type Target } from './target.js'

interface Result {
  readonly kind: BrokenKind
  readonly what: string
  readonly answer: string
  readonly expected: string
  readonly isAsExpected: boolean
}

/** Sends broken requests one after another, and prints whether each got an expected answer. */
export async function sendBroken(
  io: Io,
  client: HttpClient,
  target: Target,
  params: Params,
  kinds: readonly BrokenKind[],
  { json }: { readonly json?: true },
): Promise<void> {
  const results: Result[] = []
  for (const kind of kinds) {
    if (io.interrupted.aborted) break
    const result = await sendOne(client, target, params, kind)
    if (result === undefined) continue
    results.push(result)
    if (!json) printLine(io.out, lineOf(io, result))
  }
  if (json) printJson(io.out, { results })
  if (io.interrupted.aborted || results.some(({ isAsExpected }) => !isAsExpected)) throw new Exit(exitCodes.failed)
}

async function sendOne(
  client: HttpClient,
  target: Target,
  params: Params,
  kind: BrokenKind,
): Promise<Result | undefined> {
  const { what, method, headers, query, body, cutAfter, isForged, expected } = brokenRequest(kind)
  const used = isForged ? credentialOf(target)?.forged : target
  if (used === undefined) return undefined // without a credential none can be forged
  const answer = await client.ask(used.url, queryOf(used.url, query?.(params) ?? ''), {
    headers: { ...used.headers, ...headers },
    ...(method !== undefined && { method }),
    ...(body && { body: body(params) }),
    ...(cutAfter !== undefined && { cutAfter }),
  })
  return {
    kind,
    what,
    answer: labelOf(answer),
    expected: expected.join(' or '),
    isAsExpected: expected.includes(isAnswer(answer) ? answer.status : 'no answer'),
  }
}

function lineOf(io: Io, { kind, what, answer, expected, isAsExpected }: Result): string {
  const paint = painter(io.out, io.env)
  const mark = isAsExpected ? paint('green', '✓') : paint('red', '✗')
  return `${mark} ${kind.padEnd(14)}  ${answer}  (${what}${isAsExpected ? '' : `; expected ${expected}`})`
}
