import type { Command } from 'commander'
import { checks, make, type Check } from './checks.js'
import { withClient, type Answer, type HttpClient } from './client.js'
import { failure, painter, print, printJson, type Io } from './io.js'
import { targetCommand, type Target, type TargetOptions } from './target.js'

interface Report {
  readonly check: string
  /** What is true of the endpoint if nothing is wrong. */
  readonly promise: string
  readonly what?: string | undefined
  readonly fix?: string
}

export function doctorCommand(io: Io): Command {
  return targetCommand('doctor', 'the URL as it stands in the campaign, with its secret')
    .summary('check a deployed endpoint')
    .description('Checks a deployed endpoint and reports no conversion. Exits with 1 when a check fails.')
    .option('--json', 'print JSON: findings and passed checks')
    .action((url: URL, options: TargetOptions & { json?: true }) =>
      withClient(url, options, async (client) => {
        const reports = await examine(io, client)
        const findings = reports.flatMap(({ check, what, fix }) => (what === undefined ? [] : [{ check, what, fix }]))
        const passed = reports.flatMap(({ check, what }) => (what === undefined ? [check] : []))
        if (options.json) printJson(io.out, { findings, passed })
        else print(io.out, ...reports.flatMap((report) => linesOf(io, report)))
        if (findings.length > 0) throw failure()
      }),
    )
}

async function examine(io: Io, client: HttpClient): Promise<readonly Report[]> {
  const visit = await client.ask('doctor=1')
  const first = { check: 'visit', promise: 'a visit without parameters is answered with 204' }
  if (visit.status !== 204) return [{ ...first, ...obstacleOf(client.target, visit) }] // the checks are for a webhook
  const reports: Report[] = [first]
  for (const [name, check] of Object.entries<Check>(checks)) {
    if (reports.some((earlier) => earlier.check === check.needs && earlier.what !== undefined)) continue
    if (io.interrupted.aborted) throw failure()
    const { promise, fix } = check
    reports.push({ check: name, promise, what: await make(check, client, visit), fix })
  }
  return reports
}

/** Why no check can be made after this answer to the visit. */
function obstacleOf({ url }: Target, { status, label, headers }: Answer) {
  if (status === 0) {
    return {
      what: label.replace('no answer', 'nothing answers'),
      fix: 'is the app running, the name right, the port open, the certificate valid? Look from a machine outside your network',
    }
  }
  if (status >= 300 && status < 400) {
    const location = headers.location ?? ''
    const to = URL.canParse(location, url.href) ? new URL(location, url) : undefined
    return {
      what: to?.searchParams.has('doctor')
        ? 'the URL redirects: a sender may not follow, and a conversion would be lost'
        : 'the URL redirects and drops the query: every conversion is lost',
      fix: `paste the URL that the redirect leads to${to ? ` (on ${to.origin})` : ''} into the campaign`,
    }
  }
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

function linesOf(io: Io, { check, promise, what, fix = '' }: Report): string[] {
  const paint = painter(io.out, io.env)
  if (what === undefined) return [`${paint('green', '✓')} ${promise}`]
  return [`${paint('red', '✗')} ${paint('bold', check)}: ${what}`, `  → ${fix}`]
}
