# Presses Tab in a real zsh, as a person has it with compinit. Prints what the line became, and then what
# was on the screen.
#
#   zsh -f tab.zsh FOLDER_OF_THE_COMPLETION "thrum peer remove la"
emulate zsh
zmodload zsh/zpty zsh/zselect
work=$(mktemp -d)
trap 'zpty -d shell 2>/dev/null; rm -rf $work' EXIT
cat >$work/.zshrc <<END
fpath=(${(q)1} \$fpath)
autoload -U compinit && compinit -u -d $work/dump
zle-line-init() { : >$work/ready }
# Another key tells what is on the line.
tell() { print -r -- \$BUFFER >$work/told && mv $work/told $work/line }
zle -N zle-line-init
zle -N tell
bindkey '^T' tell
END
# wait_for FILE: at most 20 s. What the shell prints has to be read, or it stands still.
wait_for() {
  local output
  repeat 400; do
    while zpty -r -t shell output; do seen+=$output; done
    [[ -e $1 ]] && return
    zselect -t 5
  done
  print -ru2 -- "zsh: no $1 after 20 s: ${(V)seen}"
  exit 1
}
export TERM=xterm ZDOTDIR=$work
zpty -b shell zsh -d -i
wait_for $work/ready
zpty -w -n shell $2$'\t\x14'
wait_for $work/line
print -r -- "$(<$work/line)"
print -r -- ${(V)seen}
