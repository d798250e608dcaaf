# Thrum: messages between coding agents on paired machines.
class Thrum < Formula
  desc "Messages between coding agents on paired machines"
  homepage "https://github.com/thrum-dev/thrum"
  url "https://github.com/thrum-dev/thrum/archive/refs/tags/v0.1.0.tar.gz"
  # That of the release's archive, to be filled in when there is one. Until then: --HEAD.
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]
  head "https://github.com/thrum-dev/thrum.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", "--profile", "dist", *std_cargo_args(path: "thrumd")
    system "cargo", "install", "--profile", "dist", *std_cargo_args(path: "thrum-ctl")
    generate_completions_from_executable(bin/"thrum", "generate", "completions")
    system bin/"thrum", "generate", "man", buildpath/"man"
    man1.install Dir["man/man1/*"]
    (man8/"thrumd.8").write Utils.safe_popen_read(bin/"thrumd", "--print-man-page")
  end

  service do
    run opt_bin/"thrumd"
    keep_alive successful_exit: false
    environment_variables THRUM_STATE_DIR: var/"thrum", THRUM_LOG_PATH: var/"log/thrumd.log"
    log_path var/"log/thrumd.log"
    error_log_path var/"log/thrumd.log"
    process_type :background
    throttle_interval 10
  end

  def caveats
    <<~EOS
      Start the service, then pair two machines:
        brew services start thrum
        thrum peer add                   # here
        thrum peer join HOST:9100        # on the other machine
      Machines reach each other over Tailscale; `thrum status` says how it stands.
    EOS
  end

  test do
    ENV["THRUM_STATE_DIR"] = testpath/"state"
    ENV["THRUM_TAILNET"] = "loopback"
    ENV["THRUM_PROJECT"] = "test"
    system bin/"thrum", "daemon", "start"
    begin
      system bin/"thrum", "send", "--as", "planner", "coder", "hello"
      assert_match "hello", shell_output("#{bin}/thrum inbox --as coder")
    ensure
      system bin/"thrum", "daemon", "stop"
    end
  end
end
