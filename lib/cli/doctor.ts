import type { Command } from 'commander'
import { checks, probe, type Check, type Finding } from './checks.js'
import { HttpClient, isAnswer, type Answer, type NoAnswer } from './client.js'
import { Exit, exitCodes, painter, printJson, printLine, type Io } from './io.js'
import { labelOf } from './tally.js'
import { targetCommand, targetOf, type Target, type TargetOptions } from './target.js'

interface Report {
  readonly check: string
  readonly promise: string
  readonly finding: Finding | undefined
}

/** Checks a deployed endpoint. */
export function doctorCommand(io: Io): Command {
  return targetCommand('doctor', 'the URL as it stands in the campaign, with its secret')
    .summary('check a deployed endpoint')
    .description(
      'Checks a deployed endpoint without side effects: none of its requests is a callback. Exits with 1 when a check fails.',
    )
    .option('--json', 'print JSON: findings and passed checks')
    .action(async (url: URL, options: TargetOptions & { json?: true }) => {
      const client = new HttpClient({ timeoutMs: options.timeout })
      try {
        const reports = await examine(io, client, targetOf(url, options))
        const findings = reports.filter(({ finding }) => finding !== undefined)
        if (options.json) {
          printJson(io.out, {
            findings: findings.map(({ check, finding }) => ({ check, ...finding })),
            passed: reports.filter(({ finding }) => finding === undefined).map(({ check }) => check),
          })
        } else for (const line of reports.flatMap((report) => linesOf(io, report))) printLine(io.out, line)
        if (findings.length > 0) throw new Exit(exitCodes.failed)
      } finally {
        client.close()
      }
    })
}

async function examine(io: Io, client: HttpClient, target: Target): Promise<readonly Report[]> {
  const probing = probe(client, target)
  const visit = await probing.ask('doctor=1')
  const promise = 'a visit without parameters is answered with 204'
  const obstacle = obstacleOf(target, visit)
  const first: Report = { check: 'visit', promise, finding: obstacle }
  if (obstacle !== undefined || !isAnswer(visit)) return [first] // the checks mean nothing for a server that is no webhook
  const reports = [first]
  for (const [check, { promise, needs, find }] of Object.entries<Check>(checks)) {
    if (reports.some(({ check: earlier, finding }) => earlier === needs && finding !== undefined)) continue
    if (io.interrupted.aborted) throw new Exit(exitCodes.failed)
    reports.push({ check, promise, finding: await find({ ...probing, visit }) })
  }
  return reports
}

/** Why no check can be made; undefined if the webhook answered the visit. */
function obstacleOf(target: Target, visit: Answer | NoAnswer): Finding | undefined {
  if (!isAnswer(visit)) {
    return {
      what: `nothing answers: ${visit.code}`,
      fix: 'is the app running, the name right, the port open, the certificate valid? Look from a machine outside your network',
    }
  }
  const { status, headers } = visit
  if (status === 204) return undefined
  if (status >= 300 && status < 400) return redirectOf(target, headers.location ?? '')
  const label = labelOf(visit)
  if (status === 401 || status === 404) {
    return {
      what: `the visit is answered with ${label}: the secret is not the one of the app, or the webhook is mounted elsewhere`,
      fix: 'compare the URL with the mount path, and its secret with CONVERSION_WEBHOOK_SECRET where the app runs',
    }
  }
  return {
    what: `the visit is answered with ${label}: this is no webhook, or something in front of the webhook answers`,
    fix: 'look for a login, a firewall, a maintenance page or another route in front of the webhook',
  }
}

function redirectOf({ url }: Target, location: string): Finding {
  const to = URL.canParse(location, url.href) ? new URL(location, url) : undefined
  const isKept = to?.searchParams.has('doctor') ?? false
  return {
    what: isKept
      ? 'the URL redirects: a sender may not follow, and a conversion would be lost'
      : 'the URL redirects and drops the query: every conversion is lost',
    fix: `paste the URL that the redirect leads to${to ? ` (on ${to.origin})` : ''} into the campaign`,
  }
}

function linesOf(io: Io, { check, promise, finding }: Report): string[] {
  const paint = painter(io.out, io.env)
  if (finding === undefined) return [`${paint('green', '✓')} ${promise}`]
  return [`${paint('red', '✗')} ${paint('bold', check)}: ${finding.what}`, `  → ${finding.fix}`]
}
