/* The callbacks that `npm start -- --demo` sends, with the answers and the handlers that each must have. */

const order = {
  referrer_name: 'Robert Downy',
  referrer_email: 'example@gmail.com',
  referee_name: 'Cristian Bale',
  referee_email: 'friend@example.com',
  orderID: 'ASDXXXXX',
  purchaseValue: '1000',
  referrer_converts: '2',
  referrer_customValue: 'xxxxxxx',
}

const script = [
  { what: 'pending', send: { ...order, conversion: 'pending' }, answer: '200 accepted', runs: ['pending'] },
  {
    what: 'success',
    send: { ...order, conversion: 'success', goal_complete: '0' },
    answer: '200 accepted',
    runs: ['success'],
  },
  {
    what: 'the same again',
    send: { ...order, conversion: 'success', goal_complete: '0' },
    answer: '200 duplicate',
    runs: [],
  },
  { what: 'pending, late', send: { ...order, conversion: 'pending' }, answer: '200 stale', runs: [] },
  {
    what: 'success, now with the goal',
    send: { ...order, conversion: 'success', goal_complete: '1' },
    answer: '200 accepted',
    runs: ['goalComplete'],
  },
  {
    what: 'success, another amount',
    send: { ...order, conversion: 'success', purchaseValue: '9000' },
    answer: '409 conflict',
    runs: [],
  },
  {
    what: 'fail',
    send: { ...order, conversion: 'fail' },
    answer: '200 accepted',
    runs: ['fail (takes the success back)'],
  },
  {
    what: 'another order, with the goal',
    send: { ...order, orderID: 'B-2', conversion: 'success', goal_complete: '1' },
    answer: '200 accepted',
    runs: ['success', 'goalComplete'],
  },
  {
    what: 'an unencoded + in an address',
    send: 'conversion=success&orderID=B-3&referrer_email=a+b@example.com',
    answer: '200 accepted',
    runs: ['success'],
  },
  {
    what: 'broken: amount 0x10',
    send: { ...order, orderID: 'B-4', conversion: 'success', purchaseValue: '0x10' },
    answer: '422 refused',
    runs: [],
  },
  {
    what: 'forged: wrong secret',
    send: { ...order, conversion: 'success' },
    secret: 'not-the-secret-at-all',
    answer: "404 the app's own",
    runs: [],
  },
]

/** Sends the callbacks, waits for their deliveries and prints a row for each. Resolves with the exit code: 1 if a row is not as expected. */
export async function runDemo({ url, ran, settled }) {
  const rows = []
  for (const { what, send, secret, answer, runs } of script) {
    const target = secret ? url.replace(/[^/]+$/, secret) : url
    const actual = await describe(
      await fetch(`${target}?${typeof send === 'string' ? send : new URLSearchParams(send)}`),
    )
    await settled()
    const events = ran.splice(0)
    const isExpected = actual === answer && events.join() === runs.join()
    rows.push([
      what,
      actual,
      events.join(', ') || '-',
      isExpected ? '' : `expected: ${answer}, ${runs.join(', ') || '-'}`,
    ])
  }
  printTable(['callback', 'answer', 'handlers that ran', ''], rows)
  const wrong = rows.filter(([, , , note]) => note !== '').length
  console.log(
    wrong === 0
      ? `\n${rows.length} callbacks, all answered as they should be.`
      : `\n${wrong} of ${rows.length} callbacks had another answer or other handlers than expected.`,
  )
  return wrong === 0 ? 0 : 1
}

async function describe(response) {
  const type = response.headers.get('content-type') ?? ''
  const body = await response.text()
  if (type.startsWith('application/json')) return `${response.status} ${JSON.parse(body).outcome}`
  if (!type.startsWith('application/problem+json')) return `${response.status} the app's own`
  return `${response.status} ${JSON.parse(body).code.replace(/.*_/, '').toLowerCase()}`
}

function printTable(head, rows) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)))
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('   ')
      .trimEnd()
  console.log(
    [
      line(head),
      widths
        .map((width) => '-'.repeat(width))
        .join('   ')
        .trimEnd(),
      ...rows.map(line),
    ].join('\n'),
  )
}
