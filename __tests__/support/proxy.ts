export interface Proxy {
  readonly url: string
  /** Everything that is connected hears nothing any more, and is not told; neither does the other end hear that it is closed. */
  swallow(): void
  /** Whether the connections to come are swallowed, too. */
  swallowNew(isOn: boolean): void
  /** How long everything takes from now on, each way. */
  delay(ms: number): void
  /** Everything that is connected is cut off, and both ends are told. */
  cut(): void
  close(): Promise<void>
}

/** A network of the test's own in front of a server. */
export function startProxy(url: string): Promise<Proxy> {
  const { nativeRequire } = globalThis as unknown as { nativeRequire: NodeJS.Require }
  const proxy = nativeRequire('../network/proxy.mjs') as { startProxy: (url: string) => Promise<Proxy> }
  return proxy.startProxy(url)
}
