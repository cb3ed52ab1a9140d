set -eu
for app in $APPS; do
    git -C "/opt/$app/code" reset --quiet --hard 'main@{1}'
    systemctl restart "$app"
done
