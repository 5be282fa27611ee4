/** The platform's documented example, by parameter. */
export const sample = {
  conversion: 'success',
  referrer_name: 'Robert Downy',
  referrer_email: 'example@gmail.com',
  referee_name: 'Cristian Bale',
  referee_email: 'example@gmail.com',
  orderID: 'ASDXXXXX',
  purchaseValue: '1000',
  referrer_converts: '2',
  referrer_customValue: 'xxxxxxx',
  goal_complete: '1',
} as const

/** The conversion that a handler gets for the documented example, without `receivedAt`. */
export const sampleConversion = {
  status: 'success',
  referrer: { name: 'Robert Downy', email: 'example@gmail.com', conversions: 2, customValue: 'xxxxxxx' },
  referee: { name: 'Cristian Bale', email: 'example@gmail.com' },
  orderId: 'ASDXXXXX',
  purchaseValue: 1000,
  goalComplete: true,
  scope: '',
  extra: {},
  params: sample,
  repairs: [],
} as const

/** The documented example with some parameters changed; undefined leaves one out. */
export function params(changes: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
  const entries = Object.entries<string | undefined>({ ...sample, ...changes })
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** The same parameters as a query string with its question mark. */
export function query(changes: Readonly<Record<string, string | undefined>> = {}): string {
  return `?${String(new URLSearchParams(params(changes)))}`
}

export const secret = 'a-secret-of-the-tests'
