import type { ConversionStatus } from 'conversion-webhook'
import { sampleParams } from 'conversion-webhook/testing'

/** Invented people, with names in many scripts. */
const people: readonly (readonly [name: string, email: string])[] = [
  ['Robert Downy', 'robert.downy@example.com'],
  ['Cristian Bale', 'cristian+shop@example.com'],
  ['José Ñandú Muñoz', 'jose.munoz@example.org'],
  ['Zoë O’Neil-Nguyễn', 'zoe@example.net'],
  ['Łukasz Żółć', 'lukasz@example.com'],
  ['Ægir Þórðarson', 'aegir@example.org'],
  ['Дмитрий Ёлкин', 'dmitri@example.net'],
  ['Ελένη Παπαδοπούλου', 'eleni@example.com'],
  ['مريم الزهراء', 'maryam@example.org'],
  ['נועה כהן', 'noa@example.net'],
  ['प्रिया शर्मा', 'priya@example.com'],
  ['தமிழ்ச்செல்வி', 'selvi@example.org'],
  ['ณัฐพล สุขใจ', 'nattapon@example.net'],
  ['山田 花子', 'hanako@example.com'],
  ['王小明', 'xiaoming@example.org'],
  ['김민준', 'minjun@example.net'],
  ['Nguyễn Thị Ánh', 'anh@example.com'],
  ['Ọláolú Adébáyọ̀', 'olaolu@example.org'],
  ['Kim & Sons = 100 %', 'kim.sons@example.net'],
  ['👩‍👩‍👧 Familie Groß', 'familie@example.com'],
]

type Random = () => number

/** mulberry32: a generator of numbers from 0 to 1 that repeats itself for the same seed. */
function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The numbers from 0 to below `count` in random order (Fisher-Yates). */
function shuffled(count: number, random: Random): Uint32Array {
  const numbers = new Uint32Array(count).map((_, place) => place)
  for (let last = numbers.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const moved = numbers[last] ?? 0
    numbers[last] = numbers[other] ?? 0
    numbers[other] = moved
  }
  return numbers
}

export interface Plan {
  readonly status: ConversionStatus | 'mixed'
  /** The referrer's n-th conversion completes the goal; 0: none does. */
  readonly goal: number
  readonly conversions: number
  /** How often each callback is sent. */
  readonly repeat: number
  /** Each conversion is reported as pending too, and all callbacks are sent in random order. */
  readonly outOfOrder?: boolean
  readonly set?: Readonly<Record<string, string>>
  /** Part of every order number, so that two runs report different orders. */
  readonly seed: number
}

export type Params = Readonly<Record<string, string>>

export type Callbacks = ReturnType<typeof callbacksOf>

/** The callbacks of a run. Each is made when it is sent; the same plan makes the same callbacks. */
export function callbacksOf(plan: Plan) {
  const { conversions, repeat, outOfOrder = false, seed } = plan
  const perConversion = outOfOrder ? 2 * repeat : repeat
  const count = conversions * perConversion
  const order = outOfOrder ? shuffled(count, randomFrom(seed)) : undefined
  return {
    count,
    /** The parameters of one callback, counted from 0. */
    at: (place: number): Params => {
      const number = order?.[place] ?? place
      const params = paramsOf(Math.floor(number / perConversion), plan)
      const isEarly = outOfOrder && number % 2 === 0
      return isEarly ? { ...params, conversion: 'pending', goal_complete: '0' } : params
    },
  }
}

function paramsOf(index: number, { status, goal, set, seed }: Plan): Params {
  const random = randomFrom(seed + index * 7_919)
  const run = String(seed)
  const perReferrer = Math.max(1, goal)
  const [referrerName, referrerEmail] = personAt(Math.floor(index / perReferrer), seed)
  const [refereeName, refereeEmail] = personAt(index + 7, seed)
  const place = (index % perReferrer) + 1
  const isGoal = goal > 0 && place === goal
  return sampleParams({
    conversion: status === 'mixed' ? mixed(random) : status,
    referrer_name: referrerName,
    referrer_email: referrerEmail,
    referee_name: refereeName,
    referee_email: refereeEmail.replace('@', `.${String(index + 1)}@`),
    orderID: `DEMO-${run}-${String(index + 1)}`,
    purchaseValue: (Math.floor(random() * 49_900 + 100) / 100).toFixed(2),
    referrer_converts: place,
    referrer_customValue: `campaign-${run}`,
    goal_complete: isGoal ? 1 : 0,
    ...set,
  })
}

function personAt(index: number, seed: number): readonly [name: string, email: string] {
  return people[(index + seed) % people.length] as readonly [string, string]
}

function mixed(random: Random): ConversionStatus {
  const drawn = random()
  return drawn < 0.7 ? 'success' : drawn < 0.85 ? 'pending' : 'fail'
}
